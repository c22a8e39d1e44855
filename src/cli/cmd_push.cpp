#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/registry_options.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

/// The names to push: the one given, or all tags of its repository.
Result<std::vector<oci::Reference>> names_to_push(const store::Store& store, const Session& session,
                                                  const oci::Reference& given, bool all_tags) {
  if (!all_tags) return std::vector{given};
  std::vector<oci::Reference> names;
  for (const auto& name : TRY(store.list_names(session.scope))) {
    if (name.reference.empty()) continue;
    auto reference = TRY(oci::Reference::parse(name.reference));
    if (reference.familiar_name() == given.familiar_name() && !reference.tag().empty())
      names.push_back(std::move(reference));
  }
  if (names.empty()) return fail(Code::kNotFound, "no image here is named {}", quoted(given.familiar_name(), 300));
  return names;
}

Status push_one(Session& session, Workplace& place, const oci::Reference& name, ProgressReader& reader, bool quiet) {
  const auto found = TRY(place.store.acquire_name(place.lease, session.scope, name));
  if (!found) {
    return std::unexpected(
        Error(Code::kNotFound, fmt::format("an image does not exist locally with the tag: {}", name.familiar()))
            .with_hint("'slipway images' lists what is here; 'slipway tag' gives an image a further name"));
  }
  const auto pushed = TRY(context(place.images().push(found->target, found->media_type, name, reader, session.cancel),
                                  "while pushing {}", name.familiar()));
  if (quiet) return session.out.write(name.canonical() + "\n");
  return session.out.write(fmt::format("{}: digest: {} size: {}\n", name.tag().empty() ? "latest" : name.tag(),
                                       pushed.digest.text(), pushed.size));
}

Result<int> run(Session& session, const Arguments& arguments) {
  const std::string& text = arguments.positional()[0];
  const auto given = TRY(oci::Reference::parse(text));
  const bool all_tags = arguments.flag("all-tags"), quiet = arguments.flag("quiet");
  if (all_tags && !tag_was_added(given, text))
    return fail(Code::kUsage, "a tag can not be used with --all-tags: {}", quoted(text, 300));
  auto reader = TRY(session.progress(arguments, "Pushing"));
  auto place = TRY(open_workplace(session, arguments, "push"));
  show_waits(place.client, *reader);
  const auto names = TRY(names_to_push(place.store, session, given, all_tags));
  if (!quiet) {
    if (!all_tags && tag_was_added(given, text)) TRY(session.out.write("Using default tag: latest\n"));
    TRY(session.out.write(
        fmt::format("The push refers to repository [{}/{}]\n", given.registry(), given.repository())));
  }
  Status status;
  for (const auto& name : names)
    if (status) status = push_one(session, place, name, *reader, quiet);
  reader->finish();
  TRY(std::move(status));
  return 0;
}

}  // namespace

const Command& push_command() {
  static const Command command = {
      .name = "push",
      .summary = "Upload an image to a registry",
      .arguments = "NAME[:TAG]",
      .examples = {{"slipway push registry.example/team/app:1", "one name"},
                   {"slipway push -a registry.example/team/app", "all tags of a repository"},
                   {"slipway push -q 127.0.0.1:5000/app:1", "to a registry on loopback, by plain HTTP"}},
      .options = {{.name = "all-tags", .letter = 'a', .help = "push all tags of the repository"},
                  kProgressOption,
                  kInsecureRegistryOption,
                  {.name = "quiet", .letter = 'q', .help = "show only the name"}},
      .least = 1,
      .most = 1,
      .completes = Completes::kImage,
      .run = run};
  return command;
}

}  // namespace slipway::cli
