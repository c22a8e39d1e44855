// OCI layout: an image in a directory (image-spec image-layout.md), taken into the store.
#pragma once

#include "build/named_context.hpp"
#include "build/stack.hpp"
#include "oci/platform.hpp"

namespace slipway::build {

/// The image of `platform` that the layout holds under the address's tag (annotation
/// org.opencontainers.image.ref.name) or digest; with neither, the tag "latest", else its only image. Every blob that
/// the image needs is read, verified, and claimed for the lease. `reference` is what the image is called in texts.
/// Paths are opened below the directory without following links.
[[nodiscard]] Result<image::Resolved> take_layout(const LayoutAddress& address, const oci::Reference& reference,
                                                  const oci::Platform& platform, const Workshop& shop,
                                                  const Cancel& cancel);

}  // namespace slipway::build
