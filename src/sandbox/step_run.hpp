// One running step: its output passed on as it comes, its end awaited, cancelled within a second.
#pragma once

#include "sandbox/init_process.hpp"
#include "sandbox/sandbox.hpp"

namespace slipway::sandbox {

struct StepEnd {
  sys::ExitStatus status;
  bool network_clean = false;  ///< the joined network namespace is as it was before
};

/// Starts init with `orders`, which were made of `spec`, and stays until every process of the step is dead; no longer
/// than the spec's timeout.
[[nodiscard]] Result<StepEnd> run_step(int program, Orders& orders, const Spec& spec, int user_namespace,
                                       int network_namespace, const Output& output, const Cancel& cancel);

}  // namespace slipway::sandbox
