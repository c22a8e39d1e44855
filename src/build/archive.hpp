// Archives of ADD: told by their content, never by a name. An archive is unpacked into a draft of its own, by the same
// code and limits as a layer, and its entries then move to where they belong (Destination::take_in): so links of the
// archive stay inside the archive and links of the image inside the image.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "build/account.hpp"
#include "build/chmod.hpp"
#include "store/store.hpp"

namespace slipway::build {

/// Whether the file is a tar: plain, gzip, bzip2, xz or zstd, with at least one member, as Go's archive/tar tells it. A
/// compressed file that holds no tar is none. Errors: what reading gives, and limits (kOutOfRange) that a header
/// breaks.
[[nodiscard]] Result<bool> is_archive(int file, const Cancel& cancel);

struct ArchiveOptions {
  std::optional<Owner> owner;      ///< --chown: of every entry
  std::optional<ModeChange> mode;  ///< --chmod: of every entry but links
};

class Archive {
 public:
  /// Unpacks `file`. What the archive needs is reserved in the store while the object lives.
  static Result<Archive> unpack(int file, store::Store& store, const store::Lease& lease, const ArchiveOptions& options,
                                const Cancel& cancel);
  [[nodiscard]] std::string directory() const { return draft_.fs(); }
  /// Whether the archive has an entry for the directory; others were made because something is in them.
  [[nodiscard]] bool names(const std::string& path) const { return named_.contains(std::hash<std::string>{}(path)); }

 private:
  explicit Archive(store::SnapshotDraft draft) : draft_(std::move(draft)) {}
  [[nodiscard]] Status extract(int file, const ArchiveOptions& options, const Cancel& cancel);
  [[nodiscard]] Status reserve(std::int64_t bytes);
  [[nodiscard]] Status change_modes(const ModeChange& mode, const Cancel& cancel) const;

  store::SnapshotDraft draft_;
  std::int64_t reserved_ = 0;
  std::unordered_set<std::size_t> named_;  ///< hashes of cleaned paths, "" is the archive's own root
};

}  // namespace slipway::build
