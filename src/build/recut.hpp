// Recut: an image whose layers are not those of its steps: one for all of them, or without some paths. Steps, their
// records and what COPY --from sees are as ever; only what is exported is made anew.
#pragma once

#include "build/frontend.hpp"
#include "build/stack.hpp"

namespace slipway::build {

struct Recut {
  PlannedImage planned;  ///< with the history that fits
  std::shared_ptr<const Stack> stack;
};

/// `stack` is finished; layers of the base image stay as they are. `clamp` as in CommitOptions. Paths of `cut` may
/// begin with a slash.
[[nodiscard]] Result<Recut> recut(const Workshop& shop, const PlannedImage& planned, const Stack& stack,
                                  const LayerCut& cut, std::optional<std::int64_t> clamp, const Cancel& cancel);

}  // namespace slipway::build
