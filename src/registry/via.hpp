// Via: what a mirror says of itself to the registry that it mirrors (RFC 9110 section 7.6.3).
#pragma once

#include <string>

#include "registry/client.hpp"

namespace slipway::registry {

/// The same repository, with a Via header in all that is pulled from it.
[[nodiscard]] Repository by_way_of(const Repository& repository, std::string via);

}  // namespace slipway::registry
