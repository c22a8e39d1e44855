#include "image/holder.hpp"

#include "image/image.hpp"
#include "sys/file.hpp"

namespace slipway::image {

Holder Holder::maker() {
  Holder holder({});
  holder.maker_ = true;
  return holder;
}

Result<bool> Holder::has(const store::Store& store, const oci::Digest& document, const oci::Digest& child) const {
  if (maker_) return true;
  for (const auto& name : names_)
    if (TRY(holds_named(store, name, document, child))) return true;
  return names_.empty() && TRY(store::Origins(store).has(store::Origin::image(document), child));
}

Status Holder::has_all(const store::Store& store, const oci::Manifest& manifest) const {
  auto blobs = manifest.layers();
  blobs.push_back(manifest.config());
  for (const auto& blob : blobs) {
    const sys::Fd file = TRY(store.open_blob(blob.digest));
    if (!TRY(has(store, manifest.digest(), blob.digest)))
      return fail(Code::kNotFound, "the blob {} is not known to belong to the image {}", blob.digest.text(),
                  manifest.digest().text());
    if (const auto size = TRY(sys::stat_fd(file.get(), blob.digest.text())).st_size; size != blob.size)
      return fail(Code::kDataLoss, "the blob {} has {} bytes, the manifest {} says {}", blob.digest.text(), size,
                  manifest.digest().text(), blob.size);
  }
  return {};
}

}  // namespace slipway::image
