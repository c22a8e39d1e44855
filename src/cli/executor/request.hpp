// ExecutorRequest: kaniko's command line as a build::Request. What both command lines have is read by build_request().
#pragma once

#include "build/build.hpp"
#include "cli/executor/context.hpp"
#include "cli/executor/options.hpp"

namespace slipway::cli {

/// Of the stage `target` (empty: the last). `destinations` are its names. The image stays in the store; nothing is
/// pushed by the build. Reads the files of secrets, docker's config.json, and looks where the Dockerfile is.
[[nodiscard]] Result<build::Request> executor_request(const ExecutorOptions& options, const ExecutorContext& context,
                                                      const std::string& target,
                                                      const std::vector<oci::Reference>& destinations,
                                                      const registry::Environment& environment);

/// --destination, as names. Errors are kUsage.
[[nodiscard]] Result<std::vector<oci::Reference>> executor_destinations(const std::vector<std::string>& texts);

}  // namespace slipway::cli
