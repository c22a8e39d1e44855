// What BuildKit's content keys are made of, over a tree of ours: its tar-sums of files and directories
// (cache/contenthash). Slower than our own sums, which are remembered: asked only where a cache travels.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "build/tree.hpp"
#include "oci/digest.hpp"

namespace slipway::build {

enum class TreeOf : unsigned char { kContext, kStage };

/// The content that a COPY of `paths` takes (absolute, as BuildKit has them; wildcards as in Go's filepath.Match).
/// Of a context everything belongs to root. Nothing when one of the paths is not there, or is the root of a stage.
[[nodiscard]] Result<std::optional<oci::Digest>> buildkit_content(const Tree& tree, TreeOf of,
                                                                  const std::vector<std::string>& paths,
                                                                  const Cancel& cancel);

}  // namespace slipway::build
