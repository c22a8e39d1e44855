// Export: a solved stack and a planned config become an image in the store, and go where the command asked.
#pragma once

#include "build/frontend.hpp"

namespace slipway::build {

struct Exported {
  oci::Descriptor manifest;
  oci::Digest config;
};

/// Writes config and manifest as blobs. Times: history entries of layers have the layer's; the others have the one
/// before, or the first new layer's, as BuildKit fills them; so an unchanged build gives the same digest again.
[[nodiscard]] Result<Exported> write_image(const Workshop& shop, const Plan& plan, const Stack& stack,
                                           std::optional<std::int64_t> epoch);

/// One `-o`. Returns success only when every byte is where it should be.
[[nodiscard]] Status write_output(const Output& output, const Workshop& shop, const Exported& image, const Stack& stack,
                                  const Request& request, const Tools& tools, const Cancel& cancel);

}  // namespace slipway::build
