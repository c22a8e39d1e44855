// Knobs: what an operator changes when the machine refuses something. One place, so that errors and `slipway doctor`
// name the same.
#pragma once

#include <string>

namespace slipway::sandbox {

/// Why a user namespace was refused with `number`, judged by what this machine's /proc/sys says.
[[nodiscard]] std::string user_namespace_knob(int number);

}  // namespace slipway::sandbox
