#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/session.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  const bool repair = arguments.flag("repair");
  auto store = TRY(session.open_store());
  const auto findings = TRY(context(store.fsck(repair, session.cancel), "while checking {}", quoted(session.root)));
  for (const auto& finding : findings)
    TRY(session.out.write(fmt::format("{}: {}\n", printable(finding.object, 512), printable(finding.problem, 1024))));
  const bool rebuilt = session.tell_of_databases_set_aside();
  if (findings.empty()) {
    session.say(rebuilt ? "what is in the store is whole\n" : "the store is clean\n");
    return 0;
  }
  if (!repair) {
    session.say(fmt::format("{} problem{}; 'slipway fsck --repair' drops what is broken\n", findings.size(),
                            findings.size() == 1 ? "" : "s"));
    return kExitFailed;
  }
  // exit 0 says that the store is clean now, so it is looked at again
  const auto left = TRY(store.fsck(false, session.cancel));
  for (const auto& finding : left)
    TRY(session.out.write(
        fmt::format("{}: still {}\n", printable(finding.object, 512), printable(finding.problem, 1024))));
  session.say(left.empty() ? "repaired: the store is clean\n" : "some problems could not be repaired\n");
  return left.empty() ? 0 : kExitFailed;
}

}  // namespace

const Command& fsck_command() {
  static const Command command = {
      .name = "fsck",
      .summary = "Check every byte of the store against its digest",
      .examples = {{"slipway fsck", "exit 1 and the names of what is broken"},
                   {"slipway fsck --repair", "drop what is broken, never what is good"},
                   {"slipway --root /srv/slipway fsck", "another store"}},
      .options = {{.name = "repair", .help = "drop what is broken; exit 0 when the store is clean afterwards"}},
      .run = run};
  return command;
}

}  // namespace slipway::cli
