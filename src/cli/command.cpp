#include "cli/command.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

Status check_count(const Command& command, std::size_t count) {
  const auto least = static_cast<std::size_t>(command.least);
  const auto most = static_cast<std::size_t>(command.most);
  if (count >= least && (command.most < 0 || count <= most)) return {};
  const auto arguments = [](std::size_t n) { return fmt::format("{} argument{}", n, n == 1 ? "" : "s"); };
  const std::string wanted = command.most < 0 ? "at least " + arguments(least)
                             : least == most  ? (most == 0 ? "no arguments" : "exactly " + arguments(most))
                             : count < least  ? "at least " + arguments(least)
                                              : "at most " + arguments(most);
  return std::unexpected(
      Error(Code::kUsage, fmt::format("slipway {} takes {}, {} were given", command.name, wanted, count))
          .with_hint(fmt::format("usage: slipway {} [OPTIONS]{}{}", command.name, command.arguments.empty() ? "" : " ",
                                 command.arguments)));
}

}  // namespace

const std::vector<Option>& global_options() {
  static const std::vector<Option> options = {
      {.name = "root",
       .takes = Takes::kValue,
       .value = "DIR",
       .help = "the store (SLIPWAY_ROOT; default /var/lib/slipway for root, ~/.local/share/slipway otherwise)",
       .completes = Completes::kDirectory},
      {.name = "debug", .letter = 'D', .help = "say more about errors"},
      {.name = "help", .letter = 'h', .help = "show this help"},
  };
  return options;
}

Result<const Command*> find_command(const std::vector<const Command*>& commands, std::string_view name) {
  std::vector<std::string_view> names;
  for (const Command* command : commands) {
    if (command->name == name) return command;
    names.push_back(command->name);
  }
  std::string what = fmt::format("{} is not a command of slipway", quoted(name, 64));
  // What docker has and this has not is no slip of the finger: "run" must not suggest "rmi".
  constexpr std::string_view kOfContainers[] = {"run",  "exec",    "ps",     "create", "start", "stop",
                                                "logs", "compose", "attach", "kill",   "rm",    "cp"};
  if (std::find(std::begin(kOfContainers), std::end(kOfContainers), name) != std::end(kOfContainers))
    return std::unexpected(Error(Code::kUsage, what + ": it builds images and runs no containers")
                               .with_hint("'slipway help' lists the commands"));
  if (const std::string near = nearest(name, names); !near.empty()) what += fmt::format("; did you mean {}?", near);
  return std::unexpected(Error(Code::kUsage, std::move(what)).with_hint("'slipway help' lists the commands"));
}

Result<CommandLine> parse_command_line(const std::vector<const Command*>& commands,
                                       const std::vector<std::string>& words) {
  CommandLine line;
  Arguments before;
  std::vector<Option> first = global_options();
  first.push_back({.name = "version", .letter = 'v', .help = "show the version"});
  const std::size_t at = TRY(parse_options(first, words, Positional::kStop, "slipway", before));
  if (before.flag("version") && !before.flag("help")) {
    line.command = TRY(find_command(commands, "version"));
    return line;
  }
  if (at >= words.size() || before.flag("help")) {
    line.arguments = std::move(before);
    return line;
  }
  line.command = TRY(find_command(commands, words[at]));
  std::vector<Option> all = line.command->options;
  all.insert(all.end(), global_options().begin(), global_options().end());
  const std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(at) + 1, words.end());
  TRY(parse_options(all, rest, Positional::kMixed, fmt::format("slipway {}", line.command->name), line.arguments));
  line.arguments.prepend(before);
  if (!line.arguments.flag("help")) TRY(check_count(*line.command, line.arguments.positional().size()));
  return line;
}

}  // namespace slipway::cli
