// The step's root: overlay, /dev, /proc, /sys and what the orders mount, assembled by pid 1 inside all its namespaces.
#pragma once

#include "init/arena.hpp"
#include "init/ground.hpp"
#include "init/stubs.hpp"

namespace slipway::init {

/// Assembles and enters it. Every path of the image is resolved by descriptor below the root.
void assemble_root(const StepOrders& orders, const Devices& devices, StubLog& log);

}  // namespace slipway::init
