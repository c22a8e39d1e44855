// Routes that refuse: what a step must not reach.
#pragma once

#include "init/arena.hpp"

namespace slipway::init {

/// Makes the destinations unreachable in this network namespace. A family that the kernel lacks is skipped. Ends the
/// process on failure.
void bar(const Span<Barred>& destinations);

}  // namespace slipway::init
