// RUN, planned: what its step executes and sees, and which vertices its mounts read (spec section 5).
#pragma once

#include <string>
#include <vector>

#include "build/stage_plan.hpp"

namespace slipway::build {

struct PlannedRun {
  ExecSpec spec;
  std::vector<solver::Input> inputs;      ///< the stage's file system first, then what mounts read
  std::vector<std::string> history_argv;  ///< the command as the image's history shows it
};

/// Plans `run` of stage `index` on top of `state`; adds the vertices that its mounts need. Errors have no range yet.
[[nodiscard]] Result<PlannedRun> plan_run(const dockerfile::Run& run, std::size_t index, const StageState& state,
                                          StageTools& tools);

}  // namespace slipway::build
