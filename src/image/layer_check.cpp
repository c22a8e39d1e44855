#include "image/layer_check.hpp"

#include <algorithm>

#include "layer/codec.hpp"
#include "layer/layer.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

Status wrong(const oci::Descriptor& blob, const oci::DiffId& found, const oci::DiffId& said) {
  return std::unexpected(
      Error(Code::kDataLoss, fmt::format("the layer {}: its plain bytes are {}, not what the config says: {}",
                                         blob.digest.text(), found.digest.text(), said.digest.text()))
          .with_hint("what named it is wrong: a cache (build without --cache-from), a registry or an archive"));
}

}  // namespace

Status verify_layer(store::Store& store, const oci::Descriptor& blob, const oci::DiffId& diff, const Cancel& cancel) {
  if (const auto known = TRY(store.layer_of_blob(blob.digest)))
    return known->diff == diff ? Status() : wrong(blob, known->diff, diff);
  const sys::Fd file = TRY(store.open_blob(blob.digest));
  const oci::Compression compression = TRY(layer::detect_file(file.get()));
  const auto read = [&](char* buffer, std::size_t size) { return sys::read_some(file.get(), buffer, size); };
  const layer::Plain plain =
      TRY(context(layer::read_plain(read, cancel), "while reading the layer {}", blob.digest.text()));
  if (plain.diff != diff) return wrong(blob, plain.diff, diff);
  return store.note_layer(
      {.diff = diff, .blob = {blob.digest, blob.size}, .compression = compression, .tree_bytes = plain.bytes});
}

Result<std::vector<oci::DiffId>> diffs_of(const store::Store& store, const oci::Manifest& manifest) {
  const auto& type = manifest.config().media_type;
  if (type != oci::media_type::kOciConfig && type != oci::media_type::kDockerConfig) return std::vector<oci::DiffId>();
  if (std::ranges::any_of(manifest.layers(),
                          [](const auto& layer) { return !oci::media_type::layer_compression(layer.media_type); }))
    return std::vector<oci::DiffId>();
  const auto config = TRY(oci::ImageConfig::parse(TRY(store.read_blob(manifest.config().digest, oci::kConfigLimit))));
  if (config.view().diff_ids.size() == manifest.layers().size()) return config.view().diff_ids;
  return fail(Code::kDataLoss, "its manifest has {} layers and its config {}", manifest.layers().size(),
              config.view().diff_ids.size());
}

}  // namespace slipway::image
