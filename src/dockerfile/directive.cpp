#include "dockerfile/directive.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {
namespace {

constexpr std::string_view kBlanks = " \t\f\r";

std::string_view trim_blanks(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_key(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

struct KeyValue {
  std::string key;
  std::string_view value;
};

std::optional<KeyValue> key_value(std::string_view line) {
  if (!line.starts_with('#')) return {};
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return {};
  const std::string_view key = trim_blanks(line.substr(1, equals - 1));
  const std::string_view value = trim_blanks(line.substr(equals + 1));
  if (key.empty() || value.empty() || !is_letter(key[0]) || !std::ranges::all_of(key, is_key)) return {};
  return KeyValue{lower(key), value};
}

std::unexpected<Error> repeated(std::string_view key) {
  return fail(Code::kInvalidArgument, "only one {} parser directive can be used", key);
}

std::vector<std::string> rule_names(std::string_view list) {
  std::vector<std::string> names;
  for (const auto name : split(list, ',')) names.emplace_back(trim_space(name));
  return names;
}

Result<bool> parse_bool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"})
    if (text == yes) return true;
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"})
    if (text == no) return false;
  return fail(Code::kInvalidArgument, "{} is not true or false", quoted(text, 64));
}

}  // namespace

Result<CheckOptions> parse_check(std::string_view value) {
  CheckOptions options;
  value = trim_space(value);
  if (value.empty()) return options;
  for (const auto part : split(value, ';')) {
    const auto equals = part.find('=');
    const std::string_view key = trim_space(part.substr(0, equals));
    if (equals == std::string_view::npos) {
      return fail(Code::kInvalidArgument, "invalid check option {}", quoted(part, 256));
    }
    const std::string_view text = trim_space(part.substr(equals + 1));
    if (key == "skip") {
      options.skip_all = text == "all";
      options.skip = options.skip_all ? std::vector<std::string>{} : rule_names(text);
    } else if (key == "experimental") {
      options.experimental_all = text == "all";
      options.experimental = options.experimental_all ? std::vector<std::string>{} : rule_names(text);
    } else if (key == "error") {
      auto error = parse_bool(text);
      if (!error) {
        return fail(Code::kInvalidArgument, "failed to parse check option {}: {}", quoted(part, 256),
                    error.error().what());
      }
      options.error = *error;
    } else {
      return fail(Code::kInvalidArgument, "invalid check option {}", quoted(key, 256));
    }
  }
  return options;
}

Result<bool> read_directive(std::string_view line, int line_number, Directives& directives) {
  const auto found = key_value(line);
  if (!found) return false;
  if (found->key == "syntax") {
    if (directives.syntax_line > 0) return repeated(found->key);
    directives.syntax = found->value;
    directives.syntax_line = line_number;
  } else if (found->key == "check") {
    if (directives.check_line > 0) return repeated(found->key);
    directives.check = found->value;
    directives.check_line = line_number;
  } else if (found->key == "escape") {
    if (directives.escape_set) return repeated(found->key);
    if (found->value != "\\" && found->value != "`") {
      return fail(Code::kInvalidArgument, "invalid escape token '{}' does not match ` or \\",
                  printable(found->value, 64));
    }
    directives.escape = found->value[0];
    directives.escape_set = true;
  } else {
    return false;
  }
  return true;
}

bool is_built_in_syntax(std::string_view value) {
  value = trim_space(value);
  value = value.substr(0, value.find_first_of(kBlanks));
  if (value == "dockerfile.v0") return true;
  for (const std::string_view registry : {"docker.io/", "index.docker.io/"})
    if (value.starts_with(registry)) value.remove_prefix(registry.size());
  value = value.substr(0, value.find_first_of(":@"));
  return value == "docker/dockerfile" || value == "docker/dockerfile-upstream";
}

}  // namespace slipway::dockerfile
