// The step's command: the process that gives up everything and executes what the Dockerfile says.
#pragma once

#include "init/arena.hpp"

namespace slipway::init {

/// Sent over the pipe `report` when the command can not be started; nothing is sent when it was.
struct ExecFailure {
  std::int32_t status;  ///< 126 or 127 as shells and runc use them; 0: set-up failed, `error` tells
  std::int32_t error;
  char text[2048];
};

/// Runs in the child of pid 1. Takes on ids, limits, capabilities, the seccomp filter and the environment of the
/// orders, closes every other descriptor and executes argv. `report` is close-on-exec.
[[noreturn]] void run_command(const StepOrders& orders, int report);

}  // namespace slipway::init
