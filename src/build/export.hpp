// Export: a solved stack and a planned config become an image in the store, and go where the command asked.
#pragma once

#include "build/frontend.hpp"

namespace slipway::build {

/// An image of one platform, or an index of several.
struct Exported {
  oci::Descriptor manifest;  ///< with the annotations of a descriptor
  oci::Digest config;        ///< of an index: its own digest, docker's image id of one
};

/// What came of one platform.
struct PlatformResult {
  const PlannedImage& planned;
  const Stack& stack;
};

/// Writes config and manifest as blobs. Times: history entries of layers have the layer's; the others have the one
/// before, or the first new layer's, as BuildKit fills them; so an unchanged build gives the same digest again.
/// `inline_cache`: see oci::ImageConfigView.
[[nodiscard]] Result<Exported> write_image(const Workshop& shop, const PlatformResult& result,
                                           std::optional<std::int64_t> epoch, const ImageFormat& format,
                                           const std::string& inline_cache, progress::VertexId vertex,
                                           const Cancel& cancel);

/// Notes what of an image that write_image() wrote is rightly here, which makes it the image's own (image/proofs.hpp),
/// and where the rest is to be had.
[[nodiscard]] Status note_layers(const Workshop& shop, const Stack& stack, const oci::Descriptor& manifest);

/// Writes the index of `images`, one per result and in their order, as a blob; a manifest list when they are of
/// docker's types.
[[nodiscard]] Result<Exported> write_index(const Workshop& shop, const std::vector<PlatformResult>& results,
                                           const std::vector<Exported>& images, const ImageFormat& format);

/// What the image of an output is called: the names of -t, then the output's own.
[[nodiscard]] std::vector<oci::Reference> names_of(const Output& output, const Request& request);

/// One `-o` that is written to a file, a directory or standard output; nothing for the others. Returns success only
/// when every byte is where it should be. `image` is the index of the results where there is one; then files are put
/// into a directory for each platform unless the output says otherwise.
[[nodiscard]] Status write_output(const Output& output, const Workshop& shop, const Exported& image,
                                  const std::vector<PlatformResult>& results, bool index, const Request& request,
                                  const Tools& tools, const Cancel& cancel);

}  // namespace slipway::build
