// Signal names as STOPSIGNAL takes them.
#pragma once

#include <string_view>

#include "base/error.hpp"

namespace slipway::dockerfile {

/// "SIGTERM", "term", "RTMIN+3", "9" → the number on Linux. Error: `invalid signal: x`.
[[nodiscard]] Result<int> parse_signal(std::string_view text);

}  // namespace slipway::dockerfile
