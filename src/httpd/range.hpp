// Range: the bytes that a Range header asks for (RFC 9110 section 14).
//
//   switch (const auto range = parse_range("bytes=0-99", size); range.kind) …
#pragma once

#include <cstdint>
#include <string_view>

namespace slipway::httpd {

struct ByteRange {
  enum class Kind : unsigned char {
    kWhole,          ///< not to be honoured: another unit, several ranges, or no valid syntax; send everything
    kPart,           ///< `length` bytes from `offset`, at least one
    kUnsatisfiable,  ///< 416
  };
  Kind kind = Kind::kWhole;
  std::int64_t offset = 0;
  std::int64_t length = 0;
};

/// What to send of `size` bytes. Numbers beyond 63 bits count as the largest.
[[nodiscard]] ByteRange parse_range(std::string_view header, std::int64_t size);

}  // namespace slipway::httpd
