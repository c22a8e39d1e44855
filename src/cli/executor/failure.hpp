// ExecutorFailure: an error as kaniko's users see it, and the exit code it means.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::cli {

/// The excerpt of the Dockerfile where there is one, "WHERE: what: while …", one "  hint: …" line. `where` may be
/// empty.
[[nodiscard]] std::string executor_failure_text(const Error& error, std::string_view where, bool debug = false);

/// A command line that is wrong: cobra's "Error: …".
[[nodiscard]] std::string usage_text(const Error& error);

/// That of the RUN step that failed, else 1.
[[nodiscard]] int executor_exit_code(const Error& error);

}  // namespace slipway::cli
