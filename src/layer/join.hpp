// Join: several snapshots that lie upon each other become one: the change of all of them, as overlayfs would have it
// had one step made it.
#pragma once

#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"

namespace slipway::layer {

/// Puts the trees of `layers` (descriptors of their `fs`, bottom first) into the empty directory `into` of the same
/// file system. Files are hard links of theirs: whoever reads the result must not write to it. A whiteout stays one,
/// and what it removed of a lower one of them is gone; a directory in the place of something else is opaque.
[[nodiscard]] Status join_changes(const std::vector<int>& layers, int into, const Cancel& cancel);

}  // namespace slipway::layer
