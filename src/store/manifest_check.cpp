#include "store/manifest_check.hpp"

#include "layer/codec.hpp"
#include "oci/image.hpp"
#include "sys/file.hpp"

namespace slipway::store {
namespace {

Result<bool> is_here(Core& core, const oci::Digest& digest) {
  return TRY(core.database.lock()->number("SELECT 1 FROM blobs WHERE digest = ?", {digest})).has_value();
}

/// What was noted when the layer was unpacked or written here.
Result<std::optional<oci::Digest>> noted_diff(Core& core, const oci::Digest& blob) {
  auto db = core.database.lock();
  Rows rows = TRY(db->query("SELECT diff FROM layers WHERE blob = ?", {blob}));
  if (!TRY(rows.next())) return std::nullopt;
  return TRY(rows.digest(0));
}

Result<oci::Digest> diff_of(Core& core, const oci::Digest& blob, const Cancel& cancel) {
  const sys::Fd file = TRY(open_blob(core, blob));
  const auto read = [&](char* buffer, std::size_t size) { return sys::read_some(file.get(), buffer, size); };
  return TRY(layer::read_plain(read, cancel)).diff.digest;
}

/// The manifest of an image whose config is here, or nothing.
std::optional<oci::Manifest> image_manifest(Core& core, const oci::Digest& digest) {
  auto bytes = read_blob(core, digest, oci::kManifestLimit);
  if (!bytes) return std::nullopt;
  auto manifest = oci::Manifest::parse(*std::move(bytes), "");
  if (!manifest) return std::nullopt;
  const std::string& type = manifest->config().media_type;
  if (type != oci::media_type::kOciConfig && type != oci::media_type::kDockerConfig) return std::nullopt;
  return *std::move(manifest);
}

}  // namespace

Result<std::optional<std::string>> manifest_problem(Core& core, const oci::Digest& digest, const Cancel& cancel) {
  const auto manifest = image_manifest(core, digest);
  if (!manifest || !TRY(is_here(core, manifest->config().digest))) return std::nullopt;
  const auto bytes = read_blob(core, manifest->config().digest, oci::kConfigLimit);
  if (!bytes) return std::nullopt;  // a finding of its own
  const auto config = oci::ImageConfig::parse(*bytes);
  if (!config) return fmt::format("has the config {}, which is none", manifest->config().digest.text());
  const auto& diffs = config->view().diff_ids;
  const auto& layers = manifest->layers();
  if (diffs.size() != layers.size())
    return fmt::format("has {} layers, and its config tells of {}", layers.size(), diffs.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    TRY(cancel.check());
    const oci::Digest& blob = layers[i].digest;
    const auto noted = TRY(noted_diff(core, blob));
    if (!noted || *noted == diffs[i].digest || !TRY(is_here(core, blob))) continue;
    const auto plain = diff_of(core, blob, cancel);
    if (!plain && plain.error().code() == Code::kCancelled) return std::unexpected(plain.error());
    if (plain && *plain == diffs[i].digest) continue;
    return fmt::format("has the layer {}, which is {}, and its config says {}", blob.text(), noted->text(),
                       diffs[i].digest.text());
  }
  return std::nullopt;
}

}  // namespace slipway::store
