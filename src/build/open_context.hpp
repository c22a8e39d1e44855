// A folder as build context: its tree behind its .dockerignore, its remembered sums.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "build/ops.hpp"

namespace slipway::build {

struct IgnoreFile {
  std::string name, text;
};

/// `directory` as a context. `own` is the Dockerfile's own ignore file where it has one; else ".dockerignore" at the
/// root counts, which is looked up inside the root (spec section 7).
[[nodiscard]] Result<std::shared_ptr<Context>> open_tree(store::Store& store, const std::string& directory,
                                                         std::optional<IgnoreFile> own);

}  // namespace slipway::build
