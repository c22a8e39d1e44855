// LayoutDirectory: an OCI layout in a directory (image-spec image-layout.md), read blob by blob. For load and import
// here and for `--build-context oci-layout://` in build.
//
//   const LayoutDirectory layout = TRY(LayoutDirectory::open(path));
//   const oci::Index index = TRY(oci::Index::parse(TRY(layout.index_bytes()), ""));
//   const store::Blob blob = TRY(layout.take(store, lease, TRY(choose(index, "latest", "")), cancel));
#pragma once

#include <memory>
#include <string>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "oci/image.hpp"
#include "store/origins.hpp"
#include "store/store.hpp"
#include "sys/fd.hpp"

namespace slipway::image {

class LayoutDirectory {
 public:
  /// `path` is trusted; what lies below it is not, and is opened without following links.
  static Result<LayoutDirectory> open(const std::string& path);

  /// The bytes of index.json. kInvalidArgument, with what is expected, when the directory has none.
  [[nodiscard]] Result<std::string> index_bytes() const;
  /// The bytes of oci-layout, "" when it is not there.
  [[nodiscard]] Result<std::string> version_bytes() const;
  [[nodiscard]] bool has(const oci::Digest& digest) const;
  /// The blob as a file. kNotFound, kInvalidArgument for what is no plain file, kDataLoss for another size.
  [[nodiscard]] Result<sys::Fd> open_blob(const oci::Descriptor& descriptor) const;
  /// The blob into the store, held by `lease`. Its bytes are read and verified here also when the store has them
  /// already: that a digest is known says nothing of who may have the bytes.
  [[nodiscard]] Result<store::Blob> take(store::Store& store, const store::Lease& lease,
                                         const oci::Descriptor& descriptor, const Cancel& cancel) const;
  /// The same; a file that was verified before, and is the same by device, inode, size, mtime and ctime, is not read
  /// again. It has to be there: that the directory had it once says nothing.
  [[nodiscard]] Result<store::Blob> bring(store::Store& store, const store::Lease& lease,
                                          const oci::Descriptor& descriptor, const Cancel& cancel) const;
  /// Whether the directory has a blob of the store now; read only if it is not the file that was verified before.
  [[nodiscard]] Result<bool> shows(store::Store& store, const store::Blob& blob) const;
  /// What its blobs are used on (image/proofs.hpp). Nothing is noted of it in the store: what it has now counts.
  [[nodiscard]] const store::Origin& origin() const { return origin_; }

 private:
  LayoutDirectory(std::string path, store::Origin origin, sys::Fd root)
      : path_(std::move(path)), origin_(std::move(origin)), root_(std::make_shared<sys::Fd>(std::move(root))) {}
  [[nodiscard]] std::string fact_key(const oci::Digest& digest) const;
  std::string path_;
  store::Origin origin_;
  std::shared_ptr<const sys::Fd> root_;
};

/// LayoutDirectory::shows() of the directory that `folder` says; false when it is none.
[[nodiscard]] Result<bool> folder_shows(store::Store& store, const store::Origin& folder, const store::Blob& blob);

/// The entry of an index.json that is meant: by `digest` if it is not empty, else by `tag` (the annotation
/// org.opencontainers.image.ref.name is the tag, or a name that ends with it); with neither the tag "latest", else the
/// only entry. kNotFound.
[[nodiscard]] Result<oci::Descriptor> choose(const oci::Index& index, const std::string& tag,
                                             const std::string& digest);

}  // namespace slipway::image
