#include "layer/pax.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.hpp"

namespace slipway::layer {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (is_digit(c)) return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

}  // namespace

Status for_each_pax_record(std::string_view text,
                           const std::function<Status(std::string_view, std::string_view)>& each) {
  const auto malformed = [&] {
    return fail(Code::kInvalidArgument, "malformed pax record {}", quoted(text.substr(0, 64), 64));
  };
  while (!text.empty()) {
    // The length is looked for in its first digits only: a record of 1 MiB has a length of 7.
    const auto blank = text.substr(0, 20).find(' ');
    if (blank == std::string_view::npos || blank == 0) return malformed();
    const auto length = parse_size(text.substr(0, blank));
    if (!length || static_cast<std::uint64_t>(*length) > text.size()) return malformed();
    const auto size = static_cast<std::size_t>(*length);
    if (size < blank + 3 || text[size - 1] != '\n') return malformed();
    const std::string_view pair = text.substr(blank + 1, size - blank - 2);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) return malformed();
    const std::string_view key = pair.substr(0, equals);
    if (key.contains('\0')) return malformed();
    TRY(each(key, pair.substr(equals + 1)));
    text.remove_prefix(size);
  }
  return {};
}

std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;  // blank, "=", newline
  std::size_t size = rest + std::to_string(rest).size();
  size = rest + std::to_string(size).size();  // the length's own digits may add one
  return fmt::format("{} {}={}\n", size, key, value);
}

Result<Timestamp> parse_pax_time(std::string_view text) {
  const auto bad = [&] { return fail(Code::kInvalidArgument, "{} is not a pax time", quoted(text, 64)); };
  const auto dot = text.find('.');
  std::string_view whole = text.substr(0, dot);
  std::string_view fraction = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
  const bool negative = whole.starts_with('-');
  Timestamp time;
  const auto parsed = std::from_chars(whole.data(), whole.data() + whole.size(), time.seconds);
  if (parsed.ec != std::errc{} || parsed.ptr != whole.data() + whole.size()) return bad();
  if (!std::all_of(fraction.begin(), fraction.end(), is_digit)) return bad();
  for (std::size_t i = 0; i < 9; ++i)
    time.nanoseconds = time.nanoseconds * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
  if (negative && time.nanoseconds > 0) {
    if (time.seconds == INT64_MIN) return bad();
    --time.seconds;
    time.nanoseconds = 1'000'000'000 - time.nanoseconds;
  }
  return time;
}

std::string pax_time(Timestamp time) {
  if (time.nanoseconds == 0) return std::to_string(time.seconds);
  std::string_view sign;
  if (time.seconds < 0) {
    sign = "-";
    time.seconds = -(time.seconds + 1);
    time.nanoseconds = 1'000'000'000 - time.nanoseconds;
  }
  std::string text = fmt::format("{}{}.{:09}", sign, time.seconds, time.nanoseconds);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

Result<std::string> decode_base64(std::string_view text) {
  while (text.ends_with('=') || text.ends_with('\n')) text.remove_suffix(1);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return fail(Code::kInvalidArgument, "{} is not base64", quoted(text, 64));
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xff);
    }
  }
  if (count == 6) return fail(Code::kInvalidArgument, "{} is not base64", quoted(text, 64));
  return out;
}

std::string decode_percent(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool code =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    out += code ? static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2])) : text[i];
    if (code) i += 2;
  }
  return out;
}

}  // namespace slipway::layer
