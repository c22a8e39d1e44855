#include "image/proofs.hpp"

#include "image/transfers.hpp"

namespace slipway::image {
namespace {

constexpr std::string_view kServed = "served";  // "<registry>/<repository> <digest>"
constexpr std::string_view kOwn = "own";        // "<scope> <digest>"

std::string key_of(std::string_view whose, const oci::Digest& blob) { return fmt::format("{} {}", whose, blob.text()); }

}  // namespace

Result<bool> Proofs::hold(const oci::Reference& reference, const oci::Digest& blob) const {
  if (owner() || TRY(store_.recall(kServed, key_of(origin_of(reference), blob)))) return true;
  return TRY(store_.recall(kOwn, key_of(scope_, blob))).has_value();
}

Status Proofs::note_served(const oci::Reference& reference, const oci::Digest& blob) const {
  TRY(remember_origin(store_, reference, blob));
  TRY(store_.remember(kServed, key_of(origin_of(reference), blob), ""));
  return owner() ? Status() : store_.remember(kOwn, key_of(scope_, blob), "");
}

}  // namespace slipway::image
