#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/terminal.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

void add_item(std::vector<image::SaveItem>& items, const oci::Digest& target, const std::string& media_type,
              const image::Holder& holder, const std::optional<oci::Reference>& name) {
  auto at = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.target == target; });
  if (at == items.end())
    at = items.insert(items.end(), image::SaveItem{{}, target, media_type, holder});
  else
    at->holder.add(holder.names());
  if (name && std::find(at->references.begin(), at->references.end(), *name) == at->references.end())
    at->references.push_back(*name);
}

/// What `text` means to `docker save`: a name, all tags of a repository, or an id.
Status collect(Session& session, Workplace& place, const std::string& text, std::vector<image::SaveItem>& items) {
  if (const auto given = oci::Reference::parse(text); given && tag_was_added(*given, text)) {
    bool any = false;
    for (const auto& name : TRY(place.store.list_names(session.scope))) {
      if (name.reference.empty()) continue;
      const auto reference = TRY(oci::Reference::parse(name.reference));
      if (reference.familiar_name() != given->familiar_name()) continue;
      TRY(place.store.acquire_name(place.lease, session.scope, reference));
      add_item(items, name.target, name.media_type, image::Holder({reference}), reference);
      any = true;
    }
    if (any) return {};
  }
  const auto found = TRY(find_and_hold(place.store, place.lease, session.scope, text));
  std::optional<oci::Reference> name;
  if (auto reference = oci::Reference::parse(text)) {
    const auto& names = found.holder.names();
    if (std::find(names.begin(), names.end(), *reference) != names.end()) name = std::move(*reference);
  }
  add_item(items, found.target, found.media_type, found.holder, name);
  return {};
}

/// Layers of an image that were never needed here, or that are somebody else's as far as this store knows: under the
/// first name that they can be had under.
Status fetch(Session& session, const image::Images& images, const image::Holder& holder, const oci::Manifest& manifest,
             progress::Sink& sink, progress::VertexId vertex) {
  auto whole = holder.has_all(images.store, manifest);
  if (whole || whole.error().code() != Code::kNotFound) return whole;
  if (holder.names().empty())
    return std::unexpected(
        std::move(whole).error().with_hint("an image without a name is saved when all of it was here when it was made: "
                                           "give it a name ('slipway tag'), save that"));
  Status first;
  for (const auto& name : holder.names()) {
    const Status fetched = context(images.fetch_named(name, manifest, sink, vertex, session.cancel),
                                   "while collecting the layers of {}", name.familiar());
    if (fetched || fetched.error().code() == Code::kCancelled) return fetched;
    if (first) first = fetched;
  }
  return first;
}

/// Before the first byte is written: an archive holds all layers.
Status complete(Session& session, Workplace& place, const std::vector<image::SaveItem>& items, progress::Sink& sink) {
  const auto images = place.images();
  progress::VertexId vertex = 0;
  for (const auto& item : items) {
    sink.on(progress::Started{++vertex, "collecting " + item.target.text()});
    const auto fetch_all = [&]() -> Status {
      for (const auto& one : TRY(image::present_images(place.store, item.holder, item.target, item.media_type)))
        TRY(fetch(session, images, item.holder, one.manifest, sink, vertex));
      return {};
    };
    const Status fetched = fetch_all();
    sink.on(progress::Finished{vertex, fetched ? "" : fetched.error().message()});
    TRY(fetched);
  }
  return {};
}

Result<int> run(Session& session, const Arguments& arguments) {
  const auto output = arguments.value("output");
  if (!output && is_terminal(STDOUT_FILENO)) {
    return std::unexpected(Error(Code::kUsage, "refusing to write an archive to a terminal")
                               .with_hint("use -o FILE, or redirect standard output"));
  }
  image::ArchiveKind kind = image::ArchiveKind::kBoth;
  if (const auto format = arguments.value("format"); format && *format != "docker-archive") {
    if (*format != "oci-archive")
      return fail(Code::kUsage, "option --format is docker-archive or oci-archive, not {}", quoted(*format, 64));
    kind = image::ArchiveKind::kOciOnly;
  }
  auto place = TRY(open_workplace(session, arguments, "save"));
  std::vector<image::SaveItem> items;
  for (const auto& text : arguments.positional()) TRY(collect(session, place, text, items));
  progress::NullSink silent;
  TRY(complete(session, place, items, silent));
  if (!output || *output == "-") {
    TRY(image::save(
        place.store, items, kind, [&](std::string_view bytes) { return session.out.write(bytes); }, session.cancel));
    return 0;
  }
  auto file = TRY(OutputFile::create(*output));
  TRY(image::save(place.store, items, kind, [&](std::string_view bytes) { return file.write(bytes); }, session.cancel));
  TRY(file.finish());
  return 0;
}

}  // namespace

const Command& save_command() {
  static const Command command = {
      .name = "save",
      .summary = "Write images to an archive that docker, podman and skopeo read",
      .arguments = "IMAGE [IMAGE...]",
      .examples = {{"slipway save -o app.tar app:1", "docker-archive and OCI layout in one file"},
                   {"slipway save app:1 app:2 | zstd > apps.tar.zst", "several images, to standard output"},
                   {"slipway save --format oci-archive -o app.tar app:1", "an OCI layout only"}},
      .options = {{.name = "format",
                   .takes = Takes::kValue,
                   .value = "FORMAT",
                   .help = "docker-archive (the default; holds an OCI layout too) or oci-archive",
                   .completes = Completes::kWords,
                   .words = "docker-archive oci-archive"},
                  {.name = "output",
                   .letter = 'o',
                   .takes = Takes::kValue,
                   .value = "FILE",
                   .help = "write to a file in place of standard output",
                   .completes = Completes::kFile}},
      .least = 1,
      .most = -1,
      .completes = Completes::kImage,
      .run = run};
  return command;
}

}  // namespace slipway::cli
