// Durations as Go writes them: HEALTHCHECK's flags and its history text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::dockerfile {

/// Go's time.ParseDuration: "1m30s", "1.5h", "-2ms", "0". Answer in nanoseconds. Errors (kInvalidArgument) in Go's
/// words.
[[nodiscard]] Result<std::int64_t> parse_duration(std::string_view text);

/// Go's Duration.String(): "5m0s", "1.5s", "0s", "100µs".
[[nodiscard]] std::string duration_text(std::int64_t nanoseconds);

}  // namespace slipway::dockerfile
