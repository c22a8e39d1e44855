#include <algorithm>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

bool is_of(const std::string& name, const oci::Reference& repository) {
  const auto parsed = oci::Reference::parse(name);
  return parsed && parsed->familiar_name() == repository.familiar_name();
}

Result<int> run(Session& session, const Arguments& arguments) {
  const auto name = TRY(parse_tag(arguments.positional()[1]));
  auto store = TRY(session.open_store());
  const auto lease = TRY(store.lease("tag"));
  const std::string& text = arguments.positional()[0];
  const auto found = TRY(find_and_hold(store, lease, session.scope, text));
  // By an id it is held under any of its names, by a name under that one, by NAME@DIGEST under those of the repository.
  auto held_by = found.references;
  const auto given = oci::Reference::parse(text);
  if (given && std::ranges::find(held_by, given->canonical()) != held_by.end()) held_by = {given->canonical()};
  if (given && given->digest()) std::erase_if(held_by, [&](const auto& held) { return !is_of(held, *given); });
  const auto word = TRY(image::word_to_share(store, session.scope, found.target, held_by));
  TRY(store.set_name(session.scope, name, found.target, found.media_type, store::Durable::kYes, word));
  return 0;
}

}  // namespace

const Command& tag_command() {
  static const Command command = {
      .name = "tag",
      .summary = "Give an image a further name",
      .arguments = "IMAGE NAME[:TAG]",
      .examples = {{"slipway tag app:1 registry.example/team/app:1", "a name to push under"},
                   {"slipway tag 4f53cda18c2b app:old", "by image id"},
                   {"slipway tag app app:stable", "app:latest is also app:stable"}},
      .least = 2,
      .most = 2,
      .completes = Completes::kImage,
      .run = run};
  return command;
}

}  // namespace slipway::cli
