// Export: a solved stack and a planned config become an image in the store, and go where the command asked.
#pragma once

#include "build/frontend.hpp"

namespace slipway::build {

struct Exported {
  oci::Descriptor manifest;  ///< with the annotations of a descriptor
  oci::Digest config;
};

/// Writes config and manifest as blobs. Times: history entries of layers have the layer's; the others have the one
/// before, or the first new layer's, as BuildKit fills them; so an unchanged build gives the same digest again.
[[nodiscard]] Result<Exported> write_image(const Workshop& shop, const Plan& plan, const Stack& stack,
                                           std::optional<std::int64_t> epoch, const ImageFormat& format,
                                           progress::VertexId vertex, const Cancel& cancel);

/// What the image of an output is called: the names of -t, then the output's own.
[[nodiscard]] std::vector<oci::Reference> names_of(const Output& output, const Request& request);

/// One `-o` that is written to a file, a directory or standard output; nothing for the others. Returns success only
/// when every byte is where it should be.
[[nodiscard]] Status write_output(const Output& output, const Workshop& shop, const Exported& image, const Stack& stack,
                                  const Request& request, const Tools& tools, const Cancel& cancel);

}  // namespace slipway::build
