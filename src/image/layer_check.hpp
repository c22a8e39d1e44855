// What a layer's bytes unpack to, checked where they pass through our hands without being unpacked: load, save, push,
// and caches. Diff IDs stand in configs and annotations, which are anybody's word.
#pragma once

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "oci/image.hpp"
#include "store/store.hpp"

namespace slipway::image {

/// kDataLoss unless the bytes of `blob`, which are here, unpack to `diff`. They are read once: what was found is noted.
/// kOutOfRange when they unpack to more than a layer may have.
[[nodiscard]] Status verify_layer(store::Store& store, const oci::Descriptor& blob, const oci::DiffId& diff,
                                  const Cancel& cancel);

/// The diff IDs that the config of `manifest`, which is here, gives its layers, in their order; none when the manifest
/// is of no image (attestations and other artifacts). kDataLoss when there are more or fewer than layers.
[[nodiscard]] Result<std::vector<oci::DiffId>> diffs_of(const store::Store& store, const oci::Manifest& manifest);

}  // namespace slipway::image
