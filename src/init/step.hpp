// A step from inside: the stages that docs/isolation.md draws.
#pragma once

#include "init/arena.hpp"

namespace slipway::init {

/// Job::kStep and Job::kProbe. Returns when every process of the step is dead.
void run_step(const StepOrders& orders);

}  // namespace slipway::init
