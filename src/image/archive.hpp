// Archive: the members of a saved image (docker-archive, OCI layout, or both in one), read from a stream in any order.
// Files become blobs of the store as they come; small documents stay in memory. A member's path is only a key: nothing
// of it ever touches the disk. The directory of an OCI layout is read as one whose blobs come when they are asked for.
// Inside of this folder only; the door is image.hpp.
//
// Hostile input: a path given twice, a path with "..", a sparse member, a name that claims a digest which its bytes
// have not, and anything over the limits is refused. A truncated stream is kDataLoss. Whatever was stored before an
// error is garbage without a name.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "image/layout_directory.hpp"
#include "layer/layer.hpp"
#include "oci/image.hpp"
#include "store/store.hpp"

namespace slipway::image {

class Archive {
 public:
  struct Member {
    store::Blob blob;
    oci::Compression compression = oci::Compression::kNone;  ///< what its first bytes say
  };

  /// `source` may be plain, gzip or zstd.
  static Result<Archive> read(store::Store& store, const store::Lease& lease, const layer::Source& source,
                              const Cancel& cancel);
  /// An OCI layout in a directory. `store` and `lease` must outlive the archive.
  static Result<Archive> open(store::Store& store, const store::Lease& lease, const std::string& directory,
                              const Cancel& cancel);

  /// "manifest.json", "index.json" or "oci-layout"; null when it is not there.
  [[nodiscard]] const std::string* document(std::string_view name) const;
  /// The file at `path`, through the archive's links. kNotFound names the path.
  [[nodiscard]] Result<Member> file(std::string_view path) const;
  /// The file whose bytes have this digest and size. kNotFound, or kDataLoss for another size.
  [[nodiscard]] Result<Member> blob(const oci::Digest& digest, std::int64_t size);
  [[nodiscard]] bool has(const oci::Digest& digest) const;

 private:
  class Reader;
  std::map<std::string, std::string, std::less<>> documents_;
  std::map<std::string, Member, std::less<>> files_;
  std::map<std::string, std::string, std::less<>> links_;  // path → path
  std::map<oci::Digest, Member> by_digest_;
  std::optional<LayoutDirectory> directory_;
  std::function<Result<Member>(const oci::Descriptor&)> take_;  ///< a blob of the directory
};

/// "./a//b" → "a/b"; a leading "/" is dropped. kInvalidArgument for "..", which no archive needs.
[[nodiscard]] Result<std::string> member_key(std::string_view path);

/// Whether a member of this path (a key) is one that archives of images have: "blobs/sha256/…", "<hex>/layer.tar",
/// "manifest.json" …. The first file of a stream tells an archive from a root file system.
[[nodiscard]] bool is_archive_path(std::string_view key);

}  // namespace slipway::image
