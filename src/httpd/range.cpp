#include "httpd/range.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/text.hpp"

namespace slipway::httpd {
namespace {

/// Digits only; a number that does not fit is the largest one.
std::optional<std::int64_t> number(std::string_view digits) {
  if (digits.empty() || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  return parse_size(digits).value_or(std::numeric_limits<std::int64_t>::max());
}

}  // namespace

ByteRange parse_range(std::string_view header, std::int64_t size) {
  const ByteRange whole{ByteRange::Kind::kWhole, 0, size};
  const ByteRange unsatisfiable{ByteRange::Kind::kUnsatisfiable, 0, 0};
  const auto equals = header.find('=');
  if (equals == std::string_view::npos || lower(trim(header.substr(0, equals))) != "bytes") return whole;
  const std::string_view set = trim(header.substr(equals + 1));
  const auto dash = set.find('-');
  if (dash == std::string_view::npos || set.contains(',')) return whole;
  const std::string_view first = trim(set.substr(0, dash));
  const std::string_view last = trim(set.substr(dash + 1));
  if (first.empty()) {  // the last N bytes
    const auto suffix = number(last);
    if (!suffix) return whole;
    if (*suffix == 0 || size == 0) return unsatisfiable;
    const std::int64_t length = std::min(*suffix, size);
    return {ByteRange::Kind::kPart, size - length, length};
  }
  const auto from = number(first);
  if (!from) return whole;
  std::int64_t to = std::numeric_limits<std::int64_t>::max();
  if (!last.empty()) {
    const auto given = number(last);
    if (!given) return whole;
    if (*given < *from) return unsatisfiable;  // invalid: may be ignored or rejected, and is no slip of a client's
    to = *given;
  }
  if (*from >= size) return unsatisfiable;
  to = std::min(to, size - 1);
  return {ByteRange::Kind::kPart, *from, to - *from + 1};
}

}  // namespace slipway::httpd
