// Recompression: the layers of an image in the compression that an output asks for. What fits already is never touched;
// what is written again is verified against its diff ID on the way, and remembered, so that the next build finds it.
#pragma once

#include "build/output.hpp"
#include "build/stack.hpp"

namespace slipway::build {

/// The descriptor of each layer of `stack` for a manifest of `format`, in order. Layers that this build or an earlier
/// one made get the format's compression and level; those of base images only when the format is forced, or when the
/// family has no media type for what they are. Missing layers of base images are fetched when their bytes are needed.
/// Works on several layers at once; blocks until all are done.
[[nodiscard]] Result<std::vector<oci::Descriptor>> layers_in(const ImageFormat& format, const Workshop& shop,
                                                             const Stack& stack, progress::VertexId vertex,
                                                             const Cancel& cancel);

/// Makes sure that the bytes of all layers are here and may be used (for archives), fetching those of base images.
[[nodiscard]] Status fetch_layers(const Workshop& shop, const Stack& stack, progress::VertexId vertex,
                                  const Cancel& cancel);

}  // namespace slipway::build
