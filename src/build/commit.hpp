// Commit: a fresh layer's tree becomes a durable blob with a digest, and a named snapshot.
#pragma once

#include <optional>

#include "build/stack.hpp"

namespace slipway::build {

struct CommitOptions {
  std::optional<std::int64_t> clamp_mtime;  ///< SOURCE_DATE_EPOCH
};

/// Writes the top layer of `stack` (fresh; all below are finished) as a compressed blob, fsynced, and commits its
/// snapshot. One pass over the changed files: tar → (sha256 of the plain bytes ∥ gzip → sha256 → file).
[[nodiscard]] Status commit_top(const Workshop& shop, const Stack& stack, const CommitOptions& options,
                                const Cancel& cancel);

}  // namespace slipway::build
