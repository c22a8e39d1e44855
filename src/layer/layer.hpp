// Layers: a tree's change as a tar, and back. The door of this folder.
//
// Words: an *entry* is one member of an archive or one file of a tree (layer/entry.hpp); a *whiteout* says that a name
// of a lower layer is gone (".wh.name" in a tar, a 0:0 character device on disk); an *opaque* directory hides the lower
// one's content (".wh..wh..opq" in a tar, xattr user.overlay.opaque=y on disk). On disk a snapshot directory is an
// overlay lower (mounted with `userxattr`). The tar on the wire is the OCI image-spec's layer.md.
//
//   bytes → Decoder (codec.hpp) → TarReader (tar.hpp) → Unpacker (below) → snapshot directory + diff ID
//   upper directory → write_changes (below) → TarWriter → Encoder → blob + diff ID
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "oci/digest.hpp"
#include "oci/image.hpp"
#include "sys/fd.hpp"

namespace slipway::layer {

/// A pull source of bytes: up to `size` bytes into `buffer`, 0 at the end.
using Source = std::function<Result<std::size_t>(char* buffer, std::size_t size)>;
/// A push target of bytes.
using Target = std::function<Status(std::string_view bytes)>;
/// Asks for so much memory beyond what every stream takes; what is given stands for it until it is dropped. May wait.
using Lend = std::function<Result<std::shared_ptr<void>>(std::size_t bytes)>;

/// Limits on what an archive may make, checked before anything is written (invariant 3).
struct Limits {
  std::int64_t entries = 4'000'000;
  std::int64_t unpacked_bytes = std::int64_t{1} << 42;
  /// A layer that is larger than this may have `bomb_ratio` times its compressed bytes: gzip packs zeros 1:1000, zstd
  /// 1:30,000, and nothing that somebody needs is both so large and so empty.
  std::int64_t bomb_bytes = std::int64_t{8} << 30;
  std::int64_t bomb_ratio = 200;
  std::int64_t trailing_bytes = std::int64_t{1} << 30;  ///< behind the end of the archive; they are hashed only
  std::size_t path_bytes = 4096;
  std::size_t name_bytes = 255;
  std::size_t xattr_bytes = 64 * 1024;   ///< of one entry, names and values
  std::size_t extended_bytes = 1 << 20;  ///< one PAX or GNU long header
};

/// How a tree keeps owners and devices on disk.
enum class Ownership : unsigned char {
  kAsIs,     ///< chown to the archive's ids, mknod devices (root, or uid 0 of a mapped user namespace)
  kIgnored,  ///< leave what the caller's ids give (exports for an ordinary user)
};

/// Whiteouts in the archive.
enum class Whiteouts : unsigned char {
  kOverlay,  ///< become overlay's on-disk form (a snapshot)
  kApply,    ///< are carried out on the tree (flattening, -o type=local)
  kLiteral,  ///< are ordinary names (ADD of an archive)
};

struct UnpackOptions {
  Ownership ownership = Ownership::kAsIs;
  Whiteouts whiteouts = Whiteouts::kOverlay;
  Limits limits;
  Lend lend;  ///< for large windows; empty: they are simply taken
  /// For a directory of the host: devices become empty files, set-id bits are dropped.
  bool inert = false;
  /// Set on every entry instead of the archive's ids (ADD --chown).
  std::optional<std::pair<std::uint32_t, std::uint32_t>> owner;
};

struct Unpacked {
  oci::DiffId diff_id;           ///< sha256 of the plain tar, to its very last byte
  std::int64_t plain_bytes = 0;  ///< size of the plain tar
  std::int64_t tree_bytes = 0;   ///< sum of file sizes
  std::int64_t entries = 0;
  bool empty = false;  ///< no entry at all: as a lower it can be left out
};

/// Unpacks one layer into the directory `root` (empty for a snapshot; merged into otherwise). `compressed` may be
/// plain, gzip (many members) or zstd: told by its first bytes. Holds invariants 1-3 of docs/security.md: nothing is
/// written outside `root` whatever the archive says; parents are resolved inside and missing ones are created
/// 0755; existing non-directories are replaced; link targets are stored verbatim; hard links only to members inside and
/// never through a symlink; "." keeps `root` itself but may set its metadata. overlay.* xattrs (user. and trusted.) and
/// user.slipway.* from the archive are dropped. Directory mtimes are right at the end.
/// The decompressed stream is hashed while it is unpacked, in its own thread with bounded queues.
[[nodiscard]] Result<Unpacked> unpack(const Source& compressed, int root, const UnpackOptions& options,
                                      const Cancel& cancel);

/// A layer that was written.
struct Written {
  oci::DiffId diff_id;
  std::int64_t plain_bytes = 0;  ///< size of the plain tar
  std::int64_t tree_bytes = 0;   ///< sum of file sizes
  std::int64_t entries = 0;
};

/// The change that overlay left in `upper` (a directory descriptor) over the snapshots `lowers` (descriptors of their
/// `fs`, topmost first), as a plain tar to `target`. Exactly the entries whose type, mode, ids, size, mtime, link
/// target, xattrs or bytes differ from the merged lowers, plus their parent directories, sorted bytewise by path; the
/// first name of a hard-link group holds the data; a whiteout of nothing is left out; an opaque directory becomes
/// ".wh..wh..opq". Sockets are left out. PAX format as Go's archive/tar writes it (only where ustar can not hold a
/// field), mtimes in whole seconds as docker does, SCHILY.xattr.* for xattrs. `clamp_mtime`: mtimes later than it
/// become it (SOURCE_DATE_EPOCH). What lies at or below a path of `ignored` ("var/cache", as in the archive) is left
/// out.
struct ChangesOptions {
  std::optional<std::int64_t> clamp_mtime;
  std::vector<std::string> ignored = {};
};
[[nodiscard]] Result<Written> write_changes(int upper, const std::vector<int>& lowers, const Target& target,
                                            const ChangesOptions& options, const Cancel& cancel);

/// The merged tree of `layers` (descriptors of their `fs`, topmost first) as a plain tar: -o type=tar and the
/// source of -o type=local. No whiteouts in it.
[[nodiscard]] Result<Written> write_merged(const std::vector<int>& layers, const Target& target, const Cancel& cancel);

/// One of several merged trees in an archive.
struct NamedTree {
  std::string name;         ///< for errors: "linux/arm64"
  std::string directory;    ///< what its paths begin with, one component; empty: the archive's root
  std::vector<int> layers;  ///< as those of write_merged()
};
/// Trees of one directory become one tree: a directory of several is that of the first, and any other path of several
/// is kInvalidArgument.
[[nodiscard]] Result<Written> write_trees(const std::vector<NamedTree>& trees, const Target& target,
                                          const Cancel& cancel);

}  // namespace slipway::layer
