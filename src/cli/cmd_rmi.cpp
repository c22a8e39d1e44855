#include <algorithm>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

Result<std::string> say_untagged(const std::string& canonical) {
  return fmt::format("Untagged: {}\n", TRY(oci::Reference::parse(canonical)).familiar());
}

/// Removes what `text` names: a name goes alone; an id goes with all its names, of which there may be one without -f.
Status remove_one(Session& session, store::Store& store, const std::string& text, bool force) {
  const auto found = TRY(image::find(store, session.scope, text));
  const std::string id = image_id(store, found.holder, found.target, found.media_type).value_or(found.target.text());
  std::optional<oci::Reference> name;
  if (auto reference = oci::Reference::parse(text)) {
    const bool known =
        std::find(found.references.begin(), found.references.end(), reference->canonical()) != found.references.end();
    if (known) name = std::move(*reference);
  }
  std::string out;
  if (name && found.references.size() > 1) {
    if (!TRY(store.remove_name(session.scope, *name, store::Durable::kYes)))
      return fail(Code::kNotFound, "no such image: {}", quoted(text, 300));
    return session.out.write(TRY(say_untagged(name->canonical())));
  }
  if (!name && found.references.size() > 1 && !force) {
    std::vector<std::string> names;
    for (const auto& each : found.references) names.push_back(TRY(oci::Reference::parse(each)).familiar());
    return fail(Code::kFailedPrecondition, "unable to delete {} (must be forced): the image has several names: {}",
                printable(text, 80), join(names, ", "));
  }
  for (const auto& each : found.references) out += TRY(say_untagged(each));
  TRY(store.remove_target(session.scope, found.target, store::Durable::kYes));
  return session.out.write(out + fmt::format("Deleted: {}\n", id));
}

Result<int> run(Session& session, const Arguments& arguments) {
  auto store = TRY(session.open_store());
  const bool force = arguments.flag("force");
  int code = 0;
  for (const auto& text : arguments.positional()) {
    const Status status = remove_one(session, store, text, force);
    if (status) continue;
    session.say(failure_text(status.error(), session.debug));  // the others are still removed, as docker does
    if (!(force && status.error().code() == Code::kNotFound)) code = kExitFailed;
  }
  return code;
}

}  // namespace

const Command& rmi_command() {
  static const Command command = {
      .name = "rmi",
      .summary = "Remove images; 'slipway gc' then frees the space",
      .arguments = "IMAGE [IMAGE...]",
      .examples = {{"slipway rmi app:1", "a name; the image goes with its last one"},
                   {"slipway rmi -f 4f53cda18c2b", "an image with all its names"},
                   {"slipway rmi $(slipway images -q -f dangling=true)", "all without a name"}},
      .options = {{.name = "force", .letter = 'f', .help = "also with several names; a missing image is no failure"},
                  {.name = "no-prune", .help = "accepted for docker's sake"}},
      .least = 1,
      .most = -1,
      .completes = Completes::kImage,
      .run = run};
  return command;
}

}  // namespace slipway::cli
