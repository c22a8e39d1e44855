// SavePlan: all blobs and documents of images that are saved, found out before the first byte is written. For the
// archive (archive_writer.cpp) and for the layout in a directory (layout_writer.cpp).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "image/image.hpp"

namespace slipway::image {

class SavePlan {
 public:
  SavePlan(store::Store& store, const Cancel& cancel) : store_(store), cancel_(cancel) {}

  [[nodiscard]] Status add(const SaveItem& item);
  /// The entries of index.json, one per name.
  [[nodiscard]] const std::vector<oci::Descriptor>& entries() const { return index_; }
  [[nodiscard]] std::string index() const { return oci::Index::make(oci::Family::kOci, index_).raw(); }
  /// docker's manifest.json.
  [[nodiscard]] std::string manifest() const;
  /// Every blob once.
  [[nodiscard]] const std::vector<store::Blob>& blobs() const { return blobs_; }

 private:
  struct DockerEntry {
    std::string config;
    std::vector<std::string> names, layers;
  };

  [[nodiscard]] Status walk(const oci::Descriptor& top, const Holder& holder);
  [[nodiscard]] Status add_image(const oci::Descriptor& descriptor, const oci::Manifest& manifest);
  void take(const oci::Descriptor& descriptor);
  [[nodiscard]] Status add_docker_entry(const SaveItem& item);

  store::Store& store_;
  const Cancel& cancel_;
  std::vector<oci::Descriptor> index_;
  std::vector<DockerEntry> docker_;
  std::vector<store::Blob> blobs_;
  std::set<oci::Digest> seen_;
};

/// Where a layout keeps a blob: "blobs/sha256/<hex>".
[[nodiscard]] std::string blob_path(const oci::Digest& digest);

/// The bytes of a blob of `store` to `target`, verified on the way; `cancel` stops it. kDataLoss names a broken blob.
[[nodiscard]] Status copy_blob(const store::Store& store, const store::Blob& blob, const layer::Target& target,
                               const Cancel& cancel);

}  // namespace slipway::image
