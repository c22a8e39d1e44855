#include <unistd.h>

#include "base/text.hpp"
#include "build/named_context.hpp"
#include "cli/commands.hpp"
#include "cli/workplace.hpp"
#include "image/proofs.hpp"

namespace slipway::cli {
namespace {

/// What the first argument means: an archive, standard input ("-"), or an OCI layout as DIRECTORY[:TAG|@DIGEST].
struct From {
  build::LayoutAddress layout;  ///< without a directory: it is none
  bool selects = false;         ///< a tag or digest was given
  std::optional<Input> input;
};

Result<From> open_from(const std::string& text, const Cancel& cancel) {
  From from;
  if (text != "-" && is_directory(text)) {
    from.layout.directory = text;
    return from;
  }
  if (auto address = build::LayoutAddress::parse(text);
      ::access(text.c_str(), F_OK) != 0 && is_directory(address.directory)) {
    from.layout = std::move(address);
    from.selects = true;
    return from;
  }
  from.input = TRY(open_input(text, cancel));
  return from;
}

/// Of a layout a name takes one image.
Result<std::vector<image::Loaded>> take(const From& from, bool named, const oci::Platform& platform,
                                        store::Store& store, const store::Lease& lease, const Cancel& cancel) {
  if (from.input) return image::import_any(store, lease, from.input->source, platform, cancel);
  const auto& [directory, tag, digest] = from.layout;
  if (!named && !from.selects) return image::load_layout(store, lease, directory, cancel);
  auto one = image::import_layout(store, lease, directory, tag, digest, cancel);
  if (!one && !from.selects && one.error().code() == Code::kNotFound)
    return std::unexpected(std::move(one).error().with_hint(
        "DIRECTORY:TAG or DIRECTORY@DIGEST says which; 'slipway load -i DIRECTORY' takes all under their own names"));
  return std::vector{TRY(std::move(one))};
}

Result<int> run(Session& session, const Arguments& arguments) {
  const auto& words = arguments.positional();
  if (words[0].starts_with("http://") || words[0].starts_with("https://"))
    return fail(Code::kUsage, "import reads a file or standard input (-), not the address {}", quoted(words[0], 300));
  std::optional<oci::Reference> name;
  if (words.size() > 1) name = TRY(parse_tag(words[1]));
  const auto platform = TRY(platform_of(arguments));
  const auto from = TRY(open_from(words[0], session.cancel));
  auto store = TRY(session.open_store());
  const auto lease = TRY(store.lease("import"));
  const auto loaded = TRY(context(take(from, name.has_value(), platform, store, lease, session.cancel),
                                  "while importing {}", words[0] == "-" ? "standard input" : quoted(words[0])));
  if (name && loaded.size() != 1) {
    return std::unexpected(
        Error(Code::kInvalidArgument, fmt::format("{} holds {} images; one name can not be given to all",
                                                  words[0] == "-" ? "the archive" : quoted(words[0]), loaded.size()))
            .with_hint("'slipway load' takes them under their own names"));
  }
  for (const auto& image : loaded) {
    const auto names = name ? std::vector{*name} : image.references;
    TRY(store.set_names(session.scope, names, image.target, image.media_type, store::Durable::kYes, image::kOwnWord));
    TRY(session.out.write(TRY(image_id(store, image::Holder(names), image.target, image.media_type)) + "\n"));
  }
  return 0;
}

}  // namespace

const Command& import_command() {
  static const Command command = {
      .name = "import",
      .summary =
          "Make an image of an archive: a saved image keeps its config, any other tar is a root file "
          "system",
      .arguments = "FILE|DIRECTORY[:TAG|@DIGEST]|- [NAME[:TAG]]",
      .examples = {{"mmdebstrap bookworm | slipway import - debian:12", "a root file system"},
                   {"slipway import app.tar app:1", "a saved image (docker-archive, OCI layout) under a new name"},
                   {"slipway import layout:12 debian:12", "the image called 12 of an OCI layout in a directory"},
                   {"slipway import rootfs.tar.zst base", "gzip and zstd are told by themselves"}},
      .options = {{.name = "platform",
                   .takes = Takes::kValue,
                   .value = "OS/ARCH",
                   .help = "what a root file system is for (default: this machine's)"}},
      .least = 1,
      .most = 2,
      .completes = Completes::kFile,
      .run = run};
  return command;
}

}  // namespace slipway::cli
