// Target platforms: what --platform and BUILDKIT_MULTI_PLATFORM ask of a build (spec section 12).
#pragma once

#include <vector>

#include "base/error.hpp"
#include "build/build.hpp"
#include "oci/platform.hpp"

namespace slipway::build {

struct TargetPlatforms {
  std::vector<oci::Platform> list;  ///< at least one, no two alike, in the order asked for
  bool implicit = false;            ///< none was asked for: this machine's, and the image says what its base says
  bool index = false;               ///< the result is an index: more than one, or BUILDKIT_MULTI_PLATFORM=1
};

/// Errors are kInvalidArgument: a BUILDKIT_MULTI_PLATFORM that is no boolean, or that denies what --platform asks for.
[[nodiscard]] Result<TargetPlatforms> target_platforms(const Request& request);

/// "linux_arm_v7": the folder of a platform in a local output.
[[nodiscard]] std::string platform_folder(const oci::Platform& platform);

}  // namespace slipway::build
