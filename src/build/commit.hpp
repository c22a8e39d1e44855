// Commit: a fresh layer's tree becomes a durable blob with a digest, and a named snapshot.
#pragma once

#include <optional>

#include "build/stack.hpp"

namespace slipway::build {

struct CommitOptions {
  std::optional<std::int64_t> clamp_mtime;  ///< SOURCE_DATE_EPOCH
  std::vector<std::string> ignored = {};    ///< paths that are left out (layer::ChangesOptions)
};

/// Writes the change that the directory `upper` is over the directories `lowers` (topmost first) as a compressed blob,
/// fsynced. One pass over the changed files: tar → (sha256 of the plain bytes ∥ gzip → sha256 → file). Gives the facts
/// of a layer upon `parent`; nothing becomes of the tree.
[[nodiscard]] Result<LayerFacts> write_layer(const Workshop& shop, const std::string& upper,
                                             const std::vector<std::string>& lowers,
                                             const std::optional<oci::ChainId>& parent, Timestamp created,
                                             const CommitOptions& options, const Cancel& cancel);

/// write_layer() of the top layer of `stack` (fresh; all below are finished), and its snapshot is committed.
[[nodiscard]] Status commit_top(const Workshop& shop, const Stack& stack, const CommitOptions& options,
                                const Cancel& cancel);

}  // namespace slipway::build
