#include "dockerfile/heredoc.hpp"

#include "dockerfile/expand.hpp"

namespace slipway::dockerfile {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// `<<` or `3<<`, whose name is the next word.
bool is_bare_mark(std::string_view word) {
  while (!word.empty() && is_digit(word[0])) word.remove_prefix(1);
  return word == "<<";
}

}  // namespace

Result<std::optional<Heredoc>> parse_heredoc(std::string_view word) {
  Heredoc heredoc;
  while (!word.empty() && is_digit(word[0])) {
    if (heredoc.descriptor < 100'000'000)
      heredoc.descriptor = heredoc.descriptor * 10 + static_cast<unsigned>(word[0] - '0');
    word.remove_prefix(1);
  }
  if (!word.starts_with("<<")) return std::nullopt;
  word.remove_prefix(2);
  if (word.starts_with('-')) {
    heredoc.strip_tabs = true;
    word.remove_prefix(1);
  }
  if (word.empty() || word.contains('<')) return std::nullopt;
  auto name = TRY(unquoted_word(word));
  const auto written = TRY(raw_words(word));
  if (!name || written.size() != 1) return std::nullopt;
  heredoc.expand = *name == written[0];
  heredoc.name = *std::move(name);
  return heredoc;
}

Result<std::vector<Heredoc>> find_heredocs(std::string_view line) {
  std::vector<Heredoc> heredocs;
  if (!line.contains("<<")) return heredocs;
  const auto words = raw_words(line);
  if (!words) return heredocs;
  for (std::size_t i = 0; i < words->size(); ++i) {
    std::string word = (*words)[i];
    const bool spaced = is_bare_mark(word) && i + 1 < words->size();
    if (spaced) word += " " + (*words)[++i];
    auto heredoc = TRY(parse_heredoc(word));
    if (!heredoc) continue;
    heredoc->spaced = spaced;
    heredocs.push_back(*std::move(heredoc));
  }
  return heredocs;
}

std::string text_of(const Heredoc& heredoc) {
  if (!heredoc.strip_tabs) return heredoc.content;
  std::string out;
  out.reserve(heredoc.content.size());
  bool line_start = true;
  for (const char c : heredoc.content) {
    if (line_start && c == '\t') continue;
    line_start = c == '\n';
    out += c;
  }
  return out;
}

}  // namespace slipway::dockerfile
