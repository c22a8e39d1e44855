// ExecutorBaseCache: --cache-dir, the base images that `warmer` brought: an OCI layout (or an archive of kaniko's) for
// each image, named by the digest of its manifest.
#pragma once

#include <cstdint>
#include <string>

#include "build/stack.hpp"
#include "cli/executor/log.hpp"

namespace slipway::cli {

/// Where the image with this manifest lies, unless it is not there or older than `seconds`.
[[nodiscard]] std::string cached_base(const std::string& directory, const oci::Digest& manifest, std::int64_t seconds,
                                      Timestamp now);

/// Takes the image's layers from the cache into the store, verified, where it is there. What is wrong with the cache is
/// a warning: the registry has the layers too.
[[nodiscard]] Status take_cached_base(const build::Workshop& shop, const image::Resolved& image,
                                      const std::string& place, ExecutorLog& log, const Cancel& cancel);

}  // namespace slipway::cli
