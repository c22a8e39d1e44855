#include "cli/commands.hpp"
#include "cli/completion.hpp"
#include "cli/session.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  TRY(session.out.write(TRY(completion_script(arguments.positional()[0], all_commands()))));
  return 0;
}

}  // namespace

const Command& completion_command() {
  static const Command command = {.name = "completion",
                                  .summary = "Print a completion script for a shell",
                                  .arguments = "bash|zsh|fish",
                                  .examples = {{"source <(slipway completion bash)", "for this shell"},
                                               {"slipway completion zsh > ~/.zfunc/_slipway", "kept, for zsh"},
                                               {"slipway completion fish | source", "for fish"}},
                                  .least = 1,
                                  .most = 1,
                                  .completes = Completes::kWords,
                                  .words = "bash zsh fish",
                                  .needs = Needs::kNothing,
                                  .run = run};
  return command;
}

}  // namespace slipway::cli
