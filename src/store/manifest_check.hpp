// Whether the documents of an image agree with each other and with its layers, as far as those are here (R7). Bytes
// that are what their digests say can still lie about one another.
#pragma once

#include <optional>
#include <string>

#include "store/core.hpp"

namespace slipway::store {

/// One clause that says what is wrong; nothing when all is well, when `digest` is no manifest of an image, or when its
/// config is not here. A layer's plain bytes are read only when what was noted of them does not agree.
[[nodiscard]] Result<std::optional<std::string>> manifest_problem(Core& core, const oci::Digest& digest,
                                                                  const Cancel& cancel);

}  // namespace slipway::store
