// BuildRequest: the command line of `slipway build` as a build::Request. Reads no clock, and of files only the secrets
// that are named and docker's config.json (its proxies); the environment is passed in. Flags and their syntax are
// docker's (spec/dockerfile.md section 12).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "build/build.hpp"
#include "cli/option.hpp"
#include "registry/credentials.hpp"

namespace slipway::cli {

[[nodiscard]] const std::vector<Option>& build_options();

/// Errors are kUsage and name the option.
[[nodiscard]] Result<build::Request> build_request(const Arguments& arguments,
                                                   const registry::Environment& environment);

}  // namespace slipway::cli
