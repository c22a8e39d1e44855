#include "dockerfile/excerpt.hpp"

#include <algorithm>
#include <vector>

#include "base/text.hpp"

namespace slipway::dockerfile {
namespace {

constexpr std::string_view kRule = "--------------------\n";
constexpr std::size_t kLineBytes = 1000;
constexpr int kShownAtEachEnd = 100;

// printable() would turn a tab into \t, but indented files should look as they are.
std::string shown(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::string out;
  for (const auto part : split(line.substr(0, kLineBytes), '\t')) {
    if (part.data() != line.data()) out += '\t';
    out += printable(part, kLineBytes);
  }
  if (line.size() > kLineBytes) out += "…";
  return out;
}

struct Window {
  int first, last;  // lines to show
};

// BuildKit's padding: rounds that add a line above and below and count three, until 4 (one line) or 2 are spent.
Window padded(int first, int last, int line_count) {
  const int pad = first == last ? 4 : 2;
  Window window{first, last};
  for (int spent = 0; spent < pad; ++spent) {
    if (window.first > 1) --window.first, ++spent;
    if (window.last < line_count) ++window.last, ++spent;
  }
  return window;
}

}  // namespace

std::string excerpt(std::string_view text, std::string_view file_name, int first, int last) {
  const std::vector<std::string_view> lines = split(text, '\n');
  const int line_count = static_cast<int>(lines.size());
  if (first < 1 || first > line_count) return {};
  last = std::clamp(last, first, line_count);
  const Window window = padded(first, last, line_count);
  std::string out = fmt::format("{}:{}\n{}", printable(file_name), first, kRule);
  for (int i = window.first; i <= window.last; ++i) {
    const bool failing = i >= first && i <= last;
    if (failing && i == first + kShownAtEachEnd && last - first >= 2 * kShownAtEachEnd) {
      const int skipped = last - first + 1 - 2 * kShownAtEachEnd;
      out += fmt::format(" ... | >>> ({} more lines)\n", skipped);
      i += skipped - 1;
      continue;
    }
    out += fmt::format(" {:3} | {} {}\n", i, failing ? ">>>" : "   ", shown(lines[static_cast<std::size_t>(i) - 1]));
  }
  out += kRule;
  return out;
}

Error with_excerpt(Error error, std::string_view text, SourceRange range) {
  if (error.excerpt().empty()) error.with_excerpt(excerpt(text, range.file, range.first_line, range.last_line));
  error.with_range(std::move(range));
  return error;
}

}  // namespace slipway::dockerfile
