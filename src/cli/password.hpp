// Password: what `login` is given on standard input.
#pragma once

#include <string>

#include "base/cancel.hpp"
#include "base/error.hpp"

namespace slipway::cli {

/// All of standard input without the line feeds at its end; at most 64 KiB.
[[nodiscard]] Result<std::string> password_from_stdin(const Cancel& cancel);

}  // namespace slipway::cli
