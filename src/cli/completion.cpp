#include "cli/completion.hpp"

#include <algorithm>
#include <iterator>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

// Names of images, asked of the store while the user waits: silent when there is none.
constexpr std::string_view kImages = "slipway images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null";

std::vector<Option> all_options(const Command& command) {
  std::vector<Option> options;
  std::copy_if(command.options.begin(), command.options.end(), std::back_inserter(options),
               [](const Option& option) { return !option.compatibility; });
  options.insert(options.end(), global_options().begin(), global_options().end());
  return options;
}

std::string spellings(const std::vector<Option>& options) {
  std::vector<std::string> words;
  for (const auto& option : options) {
    words.push_back(fmt::format("--{}", option.name));
    if (option.letter != 0) words.push_back(fmt::format("-{}", option.letter));
  }
  return join(words, " ");
}

/// The text between single quotes of a shell or of fish.
std::string in_quotes(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out;
}

std::string command_names(const std::vector<const Command*>& commands) {
  std::vector<std::string> names;
  for (const Command* command : commands) names.emplace_back(command->name);
  return join(names, " ");
}

// --- bash
std::string bash_action(Completes completes, std::string_view words) {
  switch (completes) {
    case Completes::kNothing:
      return "COMPREPLY=()";
    case Completes::kFile:
      return "COMPREPLY=($(compgen -f -- \"$cur\"))";
    case Completes::kDirectory:
      return "COMPREPLY=($(compgen -d -- \"$cur\"))";
    case Completes::kImage:
      return fmt::format("COMPREPLY=($(compgen -W \"$({})\" -- \"$cur\"))", kImages);
    case Completes::kWords:
      return fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))", words);
  }
  return {};
}

std::string bash_value_cases(const std::vector<Option>& options, std::string_view indent) {
  std::string out;
  for (const auto& option : options) {
    if (option.takes == Takes::kNothing) continue;
    const std::string letter = option.letter != 0 ? fmt::format("|-{}", option.letter) : "";
    out += fmt::format("{}--{}{}) {}; return ;;\n", indent, option.name, letter,
                       bash_action(option.completes, option.words));
  }
  return out;
}

std::string bash(const std::vector<const Command*>& commands) {
  std::string out =
      "# bash completion of slipway; load with: source <(slipway completion bash)\n"
      "_slipway() {\n"
      "  local cur prev command='' word skip=''\n"
      "  if declare -F _get_comp_words_by_ref >/dev/null; then\n"
      "    local words cword; _get_comp_words_by_ref -n =: cur prev words cword\n"
      "  else\n"
      "    local words=(\"${COMP_WORDS[@]}\") cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}\n"
      "  fi\n"
      "  for word in \"${words[@]:1:cword-1}\"; do\n"
      "    if [[ $skip ]]; then skip=''; continue; fi\n"
      "    case $word in --root) skip=1 ;; -*) ;; *) command=$word; break ;; esac\n"
      "  done\n"
      "  compopt -o filenames 2>/dev/null\n"
      "  case $command in\n"
      "    '')\n"
      "      case $prev in\n" +
      bash_value_cases(global_options(), "        ") +
      "      esac\n"
      "      compopt +o filenames 2>/dev/null\n" +
      fmt::format("      COMPREPLY=($(compgen -W \"{} {} --version\" -- \"$cur\")) ;;\n", command_names(commands),
                  spellings(global_options()));
  for (const Command* command : commands) {
    const auto options = all_options(*command);
    out += fmt::format("    {})\n      case $prev in\n{}      esac\n", command->name,
                       bash_value_cases(options, "        "));
    out += fmt::format("      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); return; fi\n",
                       spellings(options));
    out += fmt::format("      {} ;;\n", bash_action(command->completes, command->words));
  }
  out +=
      "  esac\n"
      "  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions \"$cur\"\n"
      "}\n"
      "complete -F _slipway slipway\n";
  return out;
}

// --- zsh
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return in_quotes(out);
}

std::string zsh_action(Completes completes, std::string_view words) {
  switch (completes) {
    case Completes::kNothing:
      return " ";
    case Completes::kFile:
      return "_files";
    case Completes::kDirectory:
      return "_files -/";
    case Completes::kImage:
      return "_slipway_images";
    case Completes::kWords:
      return fmt::format("({})", words);
  }
  return {};
}

std::string zsh_option(const Option& option) {
  const std::string many = option.takes == Takes::kValues ? "*" : "";
  const std::string value = option.takes == Takes::kNothing ? ""
                                                            : fmt::format(":{}:{}", zsh_text(option.value),
                                                                          zsh_action(option.completes, option.words));
  const std::string help = zsh_text(option.help);
  const std::string equals = option.takes == Takes::kNothing ? "" : "=";
  std::string out = fmt::format(" \\\n        '{}--{}{}[{}]{}'", many, option.name, equals, help, value);
  if (option.letter != 0) {
    const std::string_view plus = option.takes == Takes::kNothing ? "" : "+";
    out += fmt::format(" \\\n        '{}-{}{}[{}]{}'", many, option.letter, plus, help, value);
  }
  return out;
}

std::string zsh(const std::vector<const Command*>& commands) {
  std::string out =
      "#compdef slipway\n"
      "# zsh completion of slipway; load with: source <(slipway completion zsh)\n"
      "_slipway_images() {\n" +
      fmt::format("  local -a names; names=(${{(f)\"$({})\"}})\n", kImages) +
      "  compadd -a names\n"
      "}\n"
      "_slipway() {\n"
      "  local curcontext=$curcontext state line\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const Command* command : commands)
    out += fmt::format("    '{}:{}'\n", command->name, in_quotes(command->summary));
  out += "  )\n  _arguments -C";
  for (const auto& option : global_options()) out += zsh_option(option);
  out +=
      " \\\n        '1:command:->command' '*::argument:->argument' && return\n"
      "  case $state in\n"
      "    command) _describe command commands ;;\n"
      "    argument)\n"
      "      case $line[1] in\n";
  for (const Command* command : commands) {
    out += fmt::format("      {}) _arguments", command->name);
    for (const auto& option : all_options(*command)) out += zsh_option(option);
    if (command->most != 0)
      out += fmt::format(" \\\n        '*:{}:{}'", zsh_text(command->arguments),
                         zsh_action(command->completes, command->words));
    out += " ;;\n";
  }
  out +=
      "      esac ;;\n"
      "  esac\n"
      "}\n"
      "compdef _slipway slipway\n";
  return out;
}

// --- fish
std::string fish_action(Completes completes, std::string_view words) {
  switch (completes) {
    case Completes::kNothing:
      return " -f";
    case Completes::kFile:
      return " -F";
    case Completes::kDirectory:
      return " -f -a '(__fish_complete_directories)'";
    case Completes::kImage:
      return fmt::format(" -f -a '({})'", [] {
        std::string escaped;
        for (const char c : kImages) escaped += c == '\'' ? "\\'" : std::string(1, c);
        return escaped;
      }());
    case Completes::kWords:
      return fmt::format(" -f -a '{}'", words);
  }
  return {};
}

std::string fish_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string fish_option(const Option& option, std::string_view condition) {
  std::string out = fmt::format("complete -c slipway{} -l {}", condition, option.name);
  if (option.letter != 0) out += fmt::format(" -s {}", option.letter);
  if (option.takes != Takes::kNothing) out += " -r" + fish_action(option.completes, option.words);
  return out + fmt::format(" -d '{}'\n", fish_text(option.help));
}

std::string fish(const std::vector<const Command*>& commands) {
  std::string out =
      "# fish completion of slipway; load with: slipway completion fish | source\ncomplete -c slipway -f\n";
  for (const auto& option : global_options()) out += fish_option(option, "");
  for (const Command* command : commands) {
    out += fmt::format("complete -c slipway -n __fish_use_subcommand -a {} -d '{}'\n", command->name,
                       fish_text(command->summary));
    const std::string condition = fmt::format(" -n '__fish_seen_subcommand_from {}'", command->name);
    for (const auto& option : command->options)
      if (!option.compatibility) out += fish_option(option, condition);
    if (command->completes != Completes::kNothing)
      out += fmt::format("complete -c slipway{}{}\n", condition, fish_action(command->completes, command->words));
  }
  return out;
}

}  // namespace

Result<std::string> completion_script(std::string_view shell, const std::vector<const Command*>& commands) {
  if (shell == "bash") return bash(commands);
  if (shell == "zsh") return zsh(commands);
  if (shell == "fish") return fish(commands);
  return fail(Code::kUsage, "no completion for {}; there is one for bash, zsh and fish", quoted(shell, 64));
}

}  // namespace slipway::cli
