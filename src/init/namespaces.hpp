// User and network namespaces: made for the builder to keep, and entered by a step.
#pragma once

#include "init/arena.hpp"

namespace slipway::init {

/// Job::kUserNamespace.
void make_user_namespace(const StepOrders& orders);

/// Becomes uid 0 of the user namespace at kUserNamespaceFd, with all capabilities there and none outside.
void enter_user_namespace(bool without_groups);

/// Brings "lo" of this network namespace up.
void raise_loopback();

}  // namespace slipway::init
