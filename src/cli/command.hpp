// Command: one row of the table that parsing, help and shell completion are all made from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "cli/option.hpp"

namespace slipway::cli {

class Session;

struct Example {
  std::string_view line;  ///< "slipway build -t app:1 ."
  std::string_view what;  ///< one clause
};

enum class Needs : unsigned char {
  kNothing,  ///< nothing of the machine: no user namespace, no files
  kStore,    ///< an ordinary user enters a user namespace first (sandbox::enter_rootless)
};

struct Command {
  std::string_view name;
  std::string_view summary;    ///< one sentence without full stop
  std::string_view arguments;  ///< "PATH", "IMAGE [IMAGE...]", or empty
  std::vector<Example> examples;
  std::vector<Option> options;
  int least = 0;
  int most = 0;  ///< -1: no limit
  Completes completes = Completes::kNothing;
  std::string_view words = {};  ///< for Completes::kWords
  Needs needs = Needs::kStore;
  /// The exit code of a command that did its work, or why it could not.
  Result<int> (*run)(Session& session, const Arguments& arguments) = nullptr;
  std::string_view notes = {};  ///< further text of the help page
};

/// --root, --debug, --help: before or after the command.
[[nodiscard]] const std::vector<Option>& global_options();

struct CommandLine {
  const Command* command = nullptr;  ///< null: none was named
  Arguments arguments;               ///< the command's and the global options
};

/// Reads a command line (without the program's name). Errors are kUsage. With --help the rest is not judged.
[[nodiscard]] Result<CommandLine> parse_command_line(const std::vector<const Command*>& commands,
                                                     const std::vector<std::string>& words);

/// By name, or kUsage with the nearest known one.
[[nodiscard]] Result<const Command*> find_command(const std::vector<const Command*>& commands, std::string_view name);

}  // namespace slipway::cli
