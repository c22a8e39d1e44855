// Holder: who has an image in this store, and so which of the bytes that are here are given out or shown with it. A
// document names its children by digest, which is anybody's word; each step from one to the other is asked for
// (image/proofs.hpp).
#pragma once

#include <vector>

#include "oci/image.hpp"
#include "oci/reference.hpp"
#include "store/store.hpp"

namespace slipway::image {

class Holder {
 public:
  /// The names of this store that lead to the image: what may be used under any of them. None, of an image that was
  /// built, loaded or imported without: what was rightly here then.
  explicit Holder(std::vector<oci::Reference> names) : names_(std::move(names)) {}
  /// A build that has made the image just now and fetched all of it.
  static Holder maker();

  [[nodiscard]] const std::vector<oci::Reference>& names() const { return names_; }
  void add(const std::vector<oci::Reference>& names) { names_.insert(names_.end(), names.begin(), names.end()); }

  /// Whether `document` may be given out or shown with `child`, which it names.
  [[nodiscard]] Result<bool> has(const store::Store& store, const oci::Digest& document,
                                 const oci::Digest& child) const;
  /// That all blobs of a manifest are here, the holder's, and as large as it says. kNotFound and kDataLoss name the
  /// blob.
  [[nodiscard]] Status has_all(const store::Store& store, const oci::Manifest& manifest) const;

 private:
  std::vector<oci::Reference> names_;
  bool maker_ = false;
};

}  // namespace slipway::image
