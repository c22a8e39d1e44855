// An uplink: a network namespace and the helper program that connects it to the outside.
#pragma once

#include "init/arena.hpp"

namespace slipway::init {

/// Job::kUplink. Stays until the builder closes the control socket (or dies); the helper lives in a pid namespace whose
/// pid 1 is ours, so that it never outlives us.
void keep_uplink(const StepOrders& orders);

}  // namespace slipway::init
