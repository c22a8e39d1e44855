// Content keys: what a COPY reads, as one digest. Path, type, mode, link target, bytes, selected attributes; owner
// where it is kept; never a time, an inode or the order of directory entries (spec section 9).
#pragma once

#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "build/file_sums.hpp"
#include "build/listing.hpp"
#include "build/source_walk.hpp"
#include "build/tree.hpp"

namespace slipway::build {

struct SumOptions {
  bool owner = true;               ///< uid and gid count (stages); a context's are flattened to 0:0
  FileSums* sums = nullptr;        ///< remembered sums of a context; null: every file is read
  ListingWriter* files = nullptr;  ///< gets every entry, when there is one
};

/// Attributes that a copy keeps: security.capability always; the others only from stages (`from_stage`).
[[nodiscard]] bool keeps_xattr(std::string_view name, bool from_stage);

/// The digest of what is taken of `sources`. Missing paths are the caller's business. Sockets do not count, as they are
/// not copied.
[[nodiscard]] Result<oci::Digest> sum_paths(const Tree& tree, const std::vector<CopySource>& sources,
                                            const SumOptions& options, const Cancel& cancel);

}  // namespace slipway::build
