#include "dockerfile/words.hpp"

#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {
namespace {

// One flag word off the front of `text`.
std::string take_flag(std::string_view& text, char escape) {
  std::string word;
  char quote = '\0';
  for (; !text.empty(); text.remove_prefix(1)) {
    char c = text[0];
    if (quote == '\0' && leading_space(text) > 0) break;
    if (c == quote) {
      quote = '\0';
      continue;
    }
    if (quote == '\0' && (c == '\'' || c == '"')) {
      quote = c;
      continue;
    }
    if (c == escape) {
      if (text.size() == 1) continue;
      text.remove_prefix(1);
      c = text[0];
    }
    word += c;
  }
  return word;
}

}  // namespace

FlagSplit split_flags(std::string_view text, char escape) {
  FlagSplit split;
  while (true) {
    text = trim_left_space(text);
    if (!text.starts_with("--")) break;
    std::string word = take_flag(text, escape);
    if (word == "--") break;
    split.flags.push_back(std::move(word));
  }
  split.rest = trim_space(text);
  return split;
}

std::vector<std::string> split_quoted(std::string_view text, char escape) {
  std::vector<std::string> words;
  while (!(text = trim_left_space(text)).empty()) {
    std::string word;
    char quote = '\0';
    while (!text.empty() && (quote != '\0' || leading_space(text) == 0)) {
      const char c = text[0];
      if (c == escape && quote != '\'') {
        if (text.size() == 1) {  // nothing to protect: dropped
          text.remove_prefix(1);
          break;
        }
        const std::size_t length = 1 + first_rune(text.substr(1)).length;
        word += text.substr(0, length);
        text.remove_prefix(length);
        continue;
      }
      if (quote == '\0' && (c == '\'' || c == '"')) {
        quote = c;
      } else if (c == quote) {
        quote = '\0';
      }
      word += c;
      text.remove_prefix(1);
    }
    if (!word.empty()) words.push_back(std::move(word));
  }
  return words;
}

}  // namespace slipway::dockerfile
