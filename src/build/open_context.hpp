// A folder as build context: its tree behind its .dockerignore, its remembered sums.
#pragma once

#include <memory>
#include <string>

#include "build/ops.hpp"

namespace slipway::build {

/// `directory` is the context, `dockerfile` the path of the Dockerfile: "<dockerfile>.dockerignore" is used alone when
/// it is there, else ".dockerignore" at the context's root (spec section 7).
[[nodiscard]] Result<std::shared_ptr<Context>> open_context(store::Store& store, const std::string& directory,
                                                            const std::string& dockerfile);

}  // namespace slipway::build
