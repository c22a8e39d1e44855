#include "cli/option.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

const Option* by_name(const std::vector<Option>& options, std::string_view name) {
  const auto found = std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.name == name; });
  return found == options.end() ? nullptr : &*found;
}

const Option* by_letter(const std::vector<Option>& options, char letter) {
  const auto found = std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.letter == letter; });
  return found == options.end() ? nullptr : &*found;
}

Error usage(std::string_view command, std::string what) {
  return Error(Code::kUsage, std::move(what)).with_hint(fmt::format("'{} --help' lists the options", command));
}

Error unknown(const std::vector<Option>& options, std::string_view command, std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& option : options) names.push_back(option.name);
  std::string what = fmt::format("unknown option --{} of {}", printable(name, 64), command);
  std::string near = nearest(name, names);
  for (const auto known : names)
    if (near.empty() && name.size() > 2 && known.starts_with(name)) near = known;
  if (!near.empty()) what += fmt::format("; did you mean --{}?", near);
  return usage(command, std::move(what));
}

/// The words that are read, one after the other.
struct Reader {
  const std::vector<Option>& options;
  const std::vector<std::string>& words;
  std::string_view command;
  Arguments& into;
  std::size_t at = 0;

  Result<std::string> value_of(const std::string& shown) {
    if (at >= words.size())
      return std::unexpected(usage(command, fmt::format("option {} of {} needs a value", shown, command)));
    return words[at++];
  }

  Status take_switch(const Option& option, std::string_view text) {
    constexpr std::string_view kTrue[] = {"true", "1", "t", "T", "TRUE", "True"};
    constexpr std::string_view kFalse[] = {"false", "0", "f", "F", "FALSE", "False"};
    if (std::find(std::begin(kTrue), std::end(kTrue), text) != std::end(kTrue)) {
      into.give(option.name, "true");
    } else if (std::find(std::begin(kFalse), std::end(kFalse), text) != std::end(kFalse)) {
      into.give(option.name, "false");
    } else {
      return std::unexpected(
          usage(command, fmt::format("option --{} is true or false, not {}", option.name, quoted(text, 64))));
    }
    return {};
  }

  Status long_option(std::string_view body) {
    const auto equals = body.find('=');
    const auto name = body.substr(0, equals);
    const Option* option = by_name(options, name);
    if (option == nullptr) return std::unexpected(unknown(options, command, name));
    if (option->takes == Takes::kNothing)
      return take_switch(*option, equals == std::string_view::npos ? "true" : body.substr(equals + 1));
    into.give(option->name, equals == std::string_view::npos ? TRY(value_of(fmt::format("--{}", name)))
                                                             : std::string(body.substr(equals + 1)));
    return {};
  }

  Status short_options(std::string_view letters) {
    for (std::size_t i = 0; i < letters.size(); ++i) {
      const Option* option = by_letter(options, letters[i]);
      if (option == nullptr) {
        return std::unexpected(
            usage(command, fmt::format("unknown option -{} of {}", printable(letters.substr(i, 1), 16), command)));
      }
      std::string_view rest = letters.substr(i + 1);
      if (option->takes == Takes::kNothing) {
        if (rest.starts_with('=')) return take_switch(*option, rest.substr(1));
        into.give(option->name, "true");
        continue;
      }
      if (rest.starts_with('=')) rest.remove_prefix(1);
      into.give(option->name, rest.empty() ? TRY(value_of(fmt::format("-{}", option->letter))) : std::string(rest));
      return {};
    }
    return {};
  }
};

}  // namespace

bool Arguments::has(std::string_view name) const { return value(name).has_value(); }

bool Arguments::flag(std::string_view name, bool otherwise) const {
  const auto last = value(name);
  return last ? *last == "true" : otherwise;
}

std::optional<std::string> Arguments::value(std::string_view name) const {
  for (auto it = given_.rbegin(); it != given_.rend(); ++it)
    if (it->first == name) return it->second;
  return std::nullopt;
}

std::vector<std::string> Arguments::values(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [given, value] : given_)
    if (given == name) all.push_back(value);
  return all;
}

void Arguments::prepend(const Arguments& earlier) {
  given_.insert(given_.begin(), earlier.given_.begin(), earlier.given_.end());
  positional_.insert(positional_.begin(), earlier.positional_.begin(), earlier.positional_.end());
}

Result<std::size_t> parse_options(const std::vector<Option>& options, const std::vector<std::string>& words,
                                  Positional positional, std::string_view command, Arguments& into) {
  Reader reader{options, words, command, into};
  while (reader.at < words.size()) {
    const std::string& word = words[reader.at];
    if (word.size() < 2 || word[0] != '-') {
      if (positional == Positional::kStop) break;
      into.give_positional(word);
      ++reader.at;
      continue;
    }
    ++reader.at;
    if (word == "--") {
      for (; reader.at < words.size(); ++reader.at) into.give_positional(words[reader.at]);
      break;
    }
    if (word[1] == '-') {
      TRY(reader.long_option(std::string_view(word).substr(2)));
    } else {
      TRY(reader.short_options(std::string_view(word).substr(1)));
    }
    if (into.flag("help")) break;  // what follows does not matter to who asks for help
  }
  return reader.at;
}

}  // namespace slipway::cli
