#include "image/proofs.hpp"

namespace slipway::image {
namespace {

std::string_view believed_by(registry::Trust trust) {
  switch (trust) {
    case registry::Trust::kVerified:
      return "";
    case registry::Trust::kAnyCertificate:
      return " (any certificate)";
    case registry::Trust::kAnybody:
      return " (anybody)";
  }
  return "";
}

}  // namespace

store::Origin origin_of(const oci::Reference& reference, registry::Trust trust) {
  return {reference.registry() + std::string(believed_by(trust)), reference.repository()};
}

Result<std::optional<store::Origin>> own_origin(const store::Store& store, const store::Origin& repository,
                                                const oci::Digest& document) {
  if (TRY(store::Origins(store).has(repository, document))) return std::nullopt;
  return store::Origin::image(document);
}

Status note_own_blobs(const store::Origins& origins, const oci::Manifest& manifest) {
  std::vector<oci::Digest> blobs = {manifest.config().digest};
  for (const auto& layer : manifest.layers()) blobs.push_back(layer.digest);
  return origins.note(store::Origin::image(manifest.digest()), blobs);
}

Result<bool> Proofs::hold(const oci::Digest& blob) const { return origins_.has(own_ ? *own_ : there_, blob); }

Result<bool> Proofs::ask(const oci::Digest& blob, const Cancel& cancel) const {
  if (own_ || !TRY(origins_.repository_with(there_.registry, blob))) return false;
  if (!TRY(repository_.shows_blob(blob, cancel))) return false;
  TRY(note_served(blob));
  return true;
}

Status Proofs::note_served(const oci::Digest& blob) const {
  TRY(origins_.note(there_, blob));
  return note_own(blob);
}

Status Proofs::note_own(const oci::Digest& blob) const { return own_ ? origins_.note(*own_, blob) : Status(); }

}  // namespace slipway::image
