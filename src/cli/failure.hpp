// Failure: an Error as the user sees it, and the exit code it means.
#pragma once

#include <string>

#include "base/error.hpp"

namespace slipway::cli {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// The source excerpt (spec section 11) when there is one, "ERROR: what", one "  while …" line per context, one
/// "  hint: …" line. With `debug` also the code and the errno. Always ends with a line feed; safe for a terminal.
[[nodiscard]] std::string failure_text(const Error& error, bool debug = false);

/// 2 for kUsage; 128 + `signal` when the command was cancelled by one; else 1.
[[nodiscard]] int exit_code_of(const Error& error, int signal);

}  // namespace slipway::cli
