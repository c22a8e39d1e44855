// Port specifications of EXPOSE.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::dockerfile {

/// "80" → 80/tcp; "8000-8002/UDP" → 8000/udp 8001/udp 8002/udp; "127.0.0.1:80:8080" → 8080/tcp (only the container's
/// side counts). Order as given, ranges ascending. Errors: `invalid containerPort: x`, `invalid proto: x`.
[[nodiscard]] Result<std::vector<std::string>> parse_ports(const std::vector<std::string>& specs);

}  // namespace slipway::dockerfile
