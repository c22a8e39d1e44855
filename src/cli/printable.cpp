#include "cli/printable.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

// Length of an SGR sequence that `text` begins with, or 0. Longer ones than any real colour are not taken.
std::size_t sgr_length(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  const auto end = text.find_first_not_of("0123456789;:", 2);
  return end != std::string_view::npos && text[end] == 'm' && end < 64 ? end + 1 : 0;
}

struct Range {
  char32_t first, last;
};
bool in_ranges(char32_t code, const auto& ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [&](Range r) { return code >= r.first && code <= r.last; });
}

std::size_t width_of(char32_t code) {
  constexpr std::array<Range, 6> kNone = {
      {{0x300, 0x36f}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}}};
  constexpr std::array<Range, 11> kWide = {{{0x1100, 0x115f},
                                            {0x2e80, 0x303e},
                                            {0x3041, 0xa4cf},
                                            {0xac00, 0xd7a3},
                                            {0xf900, 0xfaff},
                                            {0xfe30, 0xfe6f},
                                            {0xff00, 0xff60},
                                            {0xffe0, 0xffe6},
                                            {0x1f300, 0x1f64f},
                                            {0x1f900, 0x1f9ff},
                                            {0x20000, 0x3fffd}}};
  if (code < 0x300) return 1;
  return in_ranges(code, kNone) ? 0 : in_ranges(code, kWide) ? 2 : 1;
}

}  // namespace

char32_t code_point(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first;
  const std::size_t length = utf8_length(text);
  if (length < 2) return 0xfffd;
  char32_t code = first & (0x7f >> length);
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  return code;
}

bool acts_on_terminal(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

std::string printable_text(std::string_view foreign, Colours colours) {
  std::string out;
  bool coloured = false;
  while (!foreign.empty()) {
    if (const std::size_t sgr = sgr_length(foreign); sgr > 0) {
      if (colours == Colours::kKeep) {
        out += foreign.substr(0, sgr);
        coloured = true;
      }
      foreign.remove_prefix(sgr);
      continue;
    }
    const std::size_t length = utf8_length(foreign);
    if (length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(foreign[0]));
      foreign.remove_prefix(1);
      continue;
    }
    const char32_t code = code_point(foreign);
    if (code == '\n' || code == '\t' || !acts_on_terminal(code)) {
      out += foreign.substr(0, length);
    } else {
      out += code < 0x80 ? fmt::format("\\x{:02x}", static_cast<unsigned>(code))
                         : fmt::format("\\u{{{:x}}}", static_cast<unsigned>(code));
    }
    foreign.remove_prefix(length);
  }
  if (coloured && !out.ends_with(kReset)) out += kReset;
  return out;
}

std::size_t columns_of(std::string_view line) {
  std::size_t columns = 0;
  while (!line.empty()) {
    if (const std::size_t sgr = sgr_length(line); sgr > 0) {
      line.remove_prefix(sgr);
      continue;
    }
    columns += width_of(code_point(line));
    line.remove_prefix(std::max<std::size_t>(1, utf8_length(line)));
  }
  return columns;
}

std::string cut_to_columns(std::string_view line, std::size_t columns) {
  std::string out;
  bool coloured = false;
  while (!line.empty()) {
    if (const std::size_t sgr = sgr_length(line); sgr > 0) {
      out += line.substr(0, sgr);
      coloured = true;
      line.remove_prefix(sgr);
      continue;
    }
    const std::size_t width = width_of(code_point(line));
    if (width > columns) break;
    columns -= width;
    const std::size_t length = std::max<std::size_t>(1, utf8_length(line));
    out += line[0] == '\t' ? std::string_view(" ") : line.substr(0, length);
    line.remove_prefix(length);
  }
  if (coloured && !out.ends_with(kReset)) out += kReset;
  return out;
}

}  // namespace slipway::cli
