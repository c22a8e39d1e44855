// Base64 (RFC 4648 section 4, padded) for Basic authentication and docker's config.json.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::registry {

[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// Refuses anything outside the alphabet; the text itself is a secret and not repeated in the error.
[[nodiscard]] Result<std::string> base64_decode(std::string_view text);

}  // namespace slipway::registry
