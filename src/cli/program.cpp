#include "cli/program.hpp"

#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/help.hpp"
#include "cli/session.hpp"

namespace slipway::cli {
namespace {

Result<int> dispatch(const Process& process, const CommandLine& line, StandardOutput& out, bool debug) {
  if (line.command == nullptr) {
    TRY(out.write(help_page(all_commands())));
    return 0;
  }
  const Command& command = *line.command;
  if (line.arguments.flag("help")) {
    TRY(out.write(help_page(command)));
    return 0;
  }
  Session session{.environment = process.environment,
                  .root = "",
                  .debug = debug,
                  .cancel = process.cancel,
                  .out = out,
                  .say = process.say,
                  .variables = process.variables,
                  .enter_user_namespace = process.enter_user_namespace};
  if (command.name == "doctor" || command.needs == Needs::kStore)
    session.root = TRY(store_root(line.arguments, process.environment, process.uid));
  if (command.needs == Needs::kStore) TRY(process.enter_user_namespace());
  return command.run(session, line.arguments);
}

/// The command line, with the command that the program's own name stands for.
std::vector<std::string> command_words(const Process& process) {
  std::vector<std::string> words = process.words;
  const std::string name = process.name.substr(process.name.rfind('/') + 1);
  if (name == "executor" || name == "warmer") words.insert(words.begin(), name);
  return words;
}

bool is_kaniko(const std::vector<std::string>& words) {
  return !words.empty() && (words[0] == "executor" || words[0] == "warmer");
}

}  // namespace

int run_program(const Process& process) {
  StandardOutput out(process.standard_output);
  bool debug = false;
  const std::vector<std::string> words = command_words(process);
  const auto run = [&]() -> Result<int> {
    const auto line = TRY(parse_command_line(all_commands(), words));
    debug = line.arguments.flag("debug");
    return dispatch(process, line, out, debug);
  };
  const auto report = [&](const Error& error) {
    process.say(failure_text(error, debug));
    // kaniko knows one exit code for all that its command line can have wrong
    if (error.code() == Code::kUsage && is_kaniko(words)) return kExitFailed;
    return exit_code_of(error, process.signal());
  };
  const Result<int> result = run();
  const Status written = out.finish();
  if (!result) return report(result.error());
  if (!written) return report(written.error());
  return *result;
}

}  // namespace slipway::cli
