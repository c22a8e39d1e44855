#include "dockerfile/duration.hpp"

#include <array>
#include <utility>

#include "base/text.hpp"

namespace slipway::dockerfile {
namespace {

constexpr std::uint64_t kMost = std::uint64_t{1} << 63U;  // the magnitude of INT64_MIN

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 8> kUnits = {{
    {"ns", 1},
    {"us", 1'000},
    {"µs", 1'000},  // U+00B5
    {"μs", 1'000},  // U+03BC
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads "12.5" as 12 whole and 5/10. False: neither digit nor overflow-free.
struct Number {
  std::uint64_t whole = 0, fraction = 0;
  double scale = 1;
};

bool read_number(std::string_view& text, Number& number) {
  bool digits = false;
  for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1), digits = true) {
    if (number.whole > kMost / 10) return false;
    number.whole = number.whole * 10 + static_cast<std::uint64_t>(text[0] - '0');
    if (number.whole > kMost) return false;
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1), digits = true) {
      if (number.scale >= 1e18) continue;  // further digits are below a nanosecond of any unit
      number.fraction = number.fraction * 10 + static_cast<std::uint64_t>(text[0] - '0');
      number.scale *= 10;
    }
  }
  return digits;
}

std::string with_fraction(std::uint64_t value, std::uint64_t unit, std::string_view name) {
  std::string out = fmt::format("{}", value / unit);
  if (std::uint64_t rest = value % unit) {
    out += '.';
    while (rest > 0) {
      unit /= 10;
      out += static_cast<char>('0' + rest / unit);
      rest %= unit;
    }
  }
  return out += name;
}

}  // namespace

Result<std::int64_t> parse_duration(std::string_view text) {
  const std::string_view whole = text;
  const auto invalid = [&] { return fail(Code::kInvalidArgument, "time: invalid duration {}", quoted(whole, 64)); };
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return 0;
  if (text.empty()) return invalid();
  std::uint64_t total = 0;
  while (!text.empty()) {
    Number number;
    if (!read_number(text, number)) return invalid();
    std::size_t end = 0;
    while (end < text.size() && text[end] != '.' && !is_digit(text[end])) ++end;
    const std::string_view unit = text.substr(0, end);
    if (unit.empty()) return fail(Code::kInvalidArgument, "time: missing unit in duration {}", quoted(whole, 64));
    std::uint64_t factor = 0;
    for (const auto& [name, size] : kUnits)
      if (unit == name) factor = size;
    if (factor == 0) {
      return fail(Code::kInvalidArgument, "time: unknown unit {} in duration {}", quoted(unit, 64), quoted(whole, 64));
    }
    text.remove_prefix(end);
    if (number.whole > kMost / factor) return invalid();
    total += number.whole * factor;
    total +=
        static_cast<std::uint64_t>(static_cast<double>(number.fraction) * (static_cast<double>(factor) / number.scale));
    if (total > kMost) return invalid();
  }
  if (negative) return static_cast<std::int64_t>(0 - total);
  if (total == kMost) return invalid();
  return static_cast<std::int64_t>(total);
}

std::string duration_text(std::int64_t nanoseconds) {
  if (nanoseconds == 0) return "0s";
  const bool negative = nanoseconds < 0;
  const auto value = negative ? 0 - static_cast<std::uint64_t>(nanoseconds) : static_cast<std::uint64_t>(nanoseconds);
  const std::string sign = negative ? "-" : "";
  if (value < 1'000) return sign + with_fraction(value, 1, "ns");
  if (value < 1'000'000) return sign + with_fraction(value, 1'000, "µs");
  if (value < 1'000'000'000) return sign + with_fraction(value, 1'000'000, "ms");
  const std::uint64_t minutes = value / 60'000'000'000;
  std::string out = sign;
  if (minutes >= 60) out += fmt::format("{}h", minutes / 60);
  if (minutes > 0) out += fmt::format("{}m", minutes % 60);
  return out + with_fraction(value % 60'000'000'000, 1'000'000'000, "s");
}

}  // namespace slipway::dockerfile
