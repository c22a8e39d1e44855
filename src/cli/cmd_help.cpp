#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "cli/session.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  const auto& words = arguments.positional();
  TRY(session.out.write(words.empty() ? help_page(all_commands())
                                      : help_page(*TRY(find_command(all_commands(), words[0])))));
  return 0;
}

}  // namespace

const Command& help_command() {
  static const Command command = {.name = "help",
                                  .summary = "Show help, of all or of one command",
                                  .arguments = "[COMMAND]",
                                  .examples = {{"slipway help", "all commands"},
                                               {"slipway help build", "one of them"},
                                               {"slipway build --help", "the same"}},
                                  .most = 1,
                                  .needs = Needs::kNothing,
                                  .run = run};
  return command;
}

}  // namespace slipway::cli
