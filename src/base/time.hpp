// Time as values: RFC 3339 text of images, and clocks passed in rather than called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway {

/// A point in time: seconds and nanoseconds since the epoch (UTC).
struct Timestamp {
  std::int64_t seconds = 0;
  std::int32_t nanoseconds = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

[[nodiscard]] Timestamp now();

/// RFC 3339 as Go's time.RFC3339Nano writes it: "2023-11-14T22:13:20Z", fraction without trailing zeros.
[[nodiscard]] std::string rfc3339(Timestamp time);
[[nodiscard]] Result<Timestamp> parse_rfc3339(std::string_view text);

/// Milliseconds of the monotonic clock; only differences mean something.
[[nodiscard]] std::int64_t monotonic_ms();

}  // namespace slipway
