// What --metadata-file holds: the result of a build as JSON, under buildx's names (spec/dockerfile.md section 12).
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "build/build.hpp"

namespace slipway::cli {

/// containerimage.digest, containerimage.config.digest, containerimage.descriptor, image.name (canonical names,
/// separated by commas; left out without one) and buildx.build.ref ("slipway/slipway/ID"). Ends with a line feed.
[[nodiscard]] std::string build_metadata(const build::Outcome& outcome, std::string_view id);

/// 25 letters and digits that no other build has.
[[nodiscard]] Result<std::string> build_id();

}  // namespace slipway::cli
