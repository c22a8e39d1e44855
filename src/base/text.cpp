#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace slipway {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  // 0: not valid UTF-8 here
};

CodePoint decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {};
  char32_t value = first & (0x7f >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {};
  return {value, length};
}

bool is_unsafe(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

std::string escaped(std::string_view foreign, std::size_t limit, std::string_view also) {
  std::string out;
  while (!foreign.empty()) {
    if (out.size() >= limit) return out + "…";
    const CodePoint c = decode(foreign);
    if (c.length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(foreign[0]));
      foreign.remove_prefix(1);
      continue;
    }
    if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\t') {
      out += "\\t";
    } else if (c.value == '\r') {
      out += "\\r";
    } else if (is_unsafe(c.value)) {
      out += c.value < 0x80 ? fmt::format("\\x{:02x}", static_cast<unsigned>(c.value))
                            : fmt::format("\\u{{{:x}}}", static_cast<unsigned>(c.value));
    } else {
      if (c.length == 1 && also.contains(foreign[0])) out += '\\';
      out += foreign.substr(0, c.length);
    }
    foreign.remove_prefix(c.length);
  }
  return out;
}

}  // namespace

std::string printable(std::string_view foreign, std::size_t limit) { return escaped(foreign, limit, ""); }

std::string quoted(std::string_view foreign, std::size_t limit) { return '"' + escaped(foreign, limit, "\"\\") + '"'; }

std::string go_quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const CodePoint c = decode(text);
    if (c.length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    switch (c.value) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\a':
        out += "\\a";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\v':
        out += "\\v";
        break;
      default:
        if (c.value < 0x20 || c.value == 0x7f) {
          out += fmt::format("\\x{:02x}", static_cast<unsigned>(c.value));
        } else if (is_unsafe(c.value) || c.value == 0xa0 || c.value == 0xad) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c.value));
        } else {
          out += text.substr(0, c.length);
        }
    }
    text.remove_prefix(c.length);
  }
  return out + '"';
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

Result<std::int64_t> parse_size(std::string_view digits) {
  constexpr std::int64_t kMax = INT64_MAX;
  if (digits.empty()) return fail(Code::kInvalidArgument, "a size is empty");
  std::int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return fail(Code::kInvalidArgument, "{} is not a size in bytes", quoted(digits, 64));
    if (value > (kMax - (c - '0')) / 10) return fail(Code::kOutOfRange, "size {} is too large", quoted(digits, 64));
    value = value * 10 + (c - '0');
  }
  return value;
}

Result<std::int64_t> parse_human_size(std::string_view text) {
  const std::string_view whole = trim(text);
  const auto bad = [&] {
    return fail(Code::kInvalidArgument, "{} is not a size; write a number and B, KB, MB, GB or TB", quoted(whole, 64));
  };
  const auto end = whole.find_first_not_of("0123456789.");
  const std::string number(whole.substr(0, end));
  std::string unit = lower(end == std::string_view::npos ? std::string_view{} : trim(whole.substr(end)));
  if (number.empty() || number == "." || std::count(number.begin(), number.end(), '.') > 1) return bad();
  if (unit.ends_with("ib")) unit.resize(unit.size() - 2);
  if (unit.ends_with("b")) unit.pop_back();
  constexpr std::string_view kUnits = "kmgtp";
  double factor = 1;
  if (!unit.empty()) {
    const auto power = unit.size() == 1 ? kUnits.find(unit[0]) : std::string_view::npos;
    if (power == std::string_view::npos) return bad();
    factor = std::pow(1024.0, static_cast<double>(power) + 1);
  }
  const double bytes = std::strtod(number.c_str(), nullptr) * factor;
  if (!(bytes < 9.2e18)) return fail(Code::kOutOfRange, "size {} is too large", quoted(whole, 64));
  return static_cast<std::int64_t>(bytes);
}

std::string human_size(std::int64_t bytes) {
  constexpr std::array<std::string_view, 9> kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000.0 && unit + 1 < kUnits.size()) {
    value /= 1000.0;
    ++unit;
  }
  return fmt::format("{:.3g}{}", value, kUnits[unit]);
}

std::string human_duration(std::int64_t seconds) {
  const std::int64_t minutes = seconds / 60;
  const std::int64_t hours = (seconds + 1800) / 3600;  // go-units rounds hours
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return fmt::format("{} seconds", seconds);
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return fmt::format("{} minutes", minutes);
  if (hours == 1) return "About an hour";
  if (hours < 48) return fmt::format("{} hours", hours);
  if (hours < 24 * 7 * 2) return fmt::format("{} days", hours / 24);
  if (hours < 24 * 30 * 2) return fmt::format("{} weeks", hours / 24 / 7);
  if (hours < 24 * 365 * 2) return fmt::format("{} months", hours / 24 / 30);
  return fmt::format("{} years", hours / 24 / 365);
}

std::string nearest(std::string_view word, const std::vector<std::string_view>& known) {
  std::string best;
  std::size_t best_score = 6;  // twice the distance; letters in another order ("RNU") count half a step less
  for (const auto candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j <= candidate.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    const bool same_letters = std::is_permutation(word.begin(), word.end(), candidate.begin(), candidate.end());
    const std::size_t score = 2 * row.back() - (same_letters && row.back() > 0 ? 1 : 0);
    if (score < best_score && row.back() < candidate.size()) {
      best_score = score;
      best = candidate;
    }
  }
  return best;
}

std::size_t utf8_length(std::string_view text) { return text.empty() ? 0 : decode(text).length; }

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

}  // namespace slipway
