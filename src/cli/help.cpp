#include "cli/help.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kWidth = 96;

/// `text` in lines of kWidth that begin at column `indent`; the first line is already indented.
std::string folded(std::string_view text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  for (const auto word : split(text, ' ')) {
    if (word.empty()) continue;
    if (column > indent) {
      if (column + 1 + word.size() > kWidth) {
        out += "\n" + std::string(indent, ' ');
        column = indent;
      } else {
        out += ' ';
        ++column;
      }
    }
    out += word;
    column += word.size();
  }
  return out + "\n";
}

std::string spelling(const Option& option) {
  std::string text = option.letter != 0 ? fmt::format("-{}, ", option.letter) : "    ";
  text += fmt::format("--{}", option.name);
  if (!option.value.empty()) text += fmt::format(" {}", option.value);
  return text;
}

std::string option_list(const std::vector<Option>& options) {
  constexpr std::size_t kColumn = 30;
  std::string out;
  for (const auto& option : options) {
    if (option.compatibility) continue;
    std::string left = "  " + spelling(option);
    if (left.size() + 2 > kColumn) {
      out += left + "\n" + std::string(kColumn, ' ');
    } else {
      out += left + std::string(kColumn - left.size(), ' ');
    }
    out += folded(option.help, kColumn);
  }
  return out;
}

/// What is only taken because docker (or kaniko) has it, by name.
std::string compatible_list(const std::vector<Option>& options, bool kaniko) {
  std::vector<std::string> names;
  for (const auto& option : options)
    if (option.compatibility) names.push_back(fmt::format("--{}", option.name));
  if (names.empty()) return {};
  constexpr std::string_view kDocker =
      "\nOptions of docker that change nothing here (a note says so) or are refused by name:\n  ";
  constexpr std::string_view kKaniko =
      "\nAlso flags of kaniko: old names, and what is so here anyway (docs/migrating-from-kaniko.md):\n  ";
  return std::string(kaniko ? kKaniko : kDocker) + folded(join(names, " "), 2);
}

std::string example_list(const std::vector<Example>& examples) {
  std::size_t width = 0;
  for (const auto& example : examples) width = std::max(width, example.line.size());
  std::string out;
  for (const auto& example : examples) out += fmt::format("  {:{}}  # {}\n", example.line, width, example.what);
  return out;
}

constexpr std::string_view kExitCodes =
    "\nExit codes: 0 done (all output is written), 1 it failed, 2 the command line is wrong,\n"
    "130 or 143 stopped by a signal.\n";

}  // namespace

std::string help_page(const std::vector<const Command*>& commands) {
  std::string out =
      "slipway builds, pushes and keeps container images, without a daemon and without privilege.\n"
      "\nUsage: slipway [OPTIONS] COMMAND [ARGUMENTS]\n"
      "\nExamples:\n";
  out += example_list({{"slipway build -t registry.example/team/app:1 --push .", "build the Dockerfile here and push"},
                       {"slipway images", "list what is in the store"},
                       {"slipway doctor", "see what this machine allows, and what to change"}});
  out += "\nCommands:\n";
  for (const Command* command : commands) out += fmt::format("  {:<12}{}", command->name, folded(command->summary, 14));
  out += "\nOptions (before or after the command):\n" + option_list(global_options());
  out +=
      "\nEnvironment: SLIPWAY_ROOT, SLIPWAY_MAX_SIZE (limit of the store, as 20GB), SLIPWAY_GIT_MAX_SIZE (of a git\n"
      "repository, 16GB by default), BUILDKIT_PROGRESS, NO_COLOR, SOURCE_DATE_EPOCH, DOCKER_CONFIG,\n"
      "DOCKER_AUTH_CONFIG, SSL_CERT_FILE, HTTP_PROXY, HTTPS_PROXY, NO_PROXY.\n";
  out += kExitCodes;
  return out;
}

std::string help_page(const Command& command) {
  std::string out =
      fmt::format("{}.\n\nUsage: slipway {}{}{}{}\n", command.summary, command.name,
                  command.options.empty() ? "" : " [OPTIONS]", command.arguments.empty() ? "" : " ", command.arguments);
  if (!command.examples.empty()) out += "\nExamples:\n" + example_list(command.examples);
  if (!command.options.empty())
    out += "\nOptions:\n" + option_list(command.options) +
           compatible_list(command.options, command.name == "executor" || command.name == "warmer");
  out += "\nGlobal options:\n" + option_list(global_options());
  if (!command.notes.empty()) out += fmt::format("\n{}\n", command.notes);
  out += kExitCodes;
  return out;
}

}  // namespace slipway::cli
