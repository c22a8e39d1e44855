// BuildRequest: the command line of `slipway build` as a build::Request. Reads no file and no clock: the environment is
// passed in. Flags and their syntax are docker's (spec/dockerfile.md section 12).
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

/// "type=tar,dest=FILE", "-" (tar to standard output) or a directory. Nothing for what needs no file: type=docker
/// without dest (every build lands in the store); type=image and type=registry set `push`.
[[nodiscard]] Result<std::optional<build::Output>> parse_output(std::string_view text, bool& push);
/// "nofile=1024:2048", "nproc=512", -1 or "unlimited" for no limit.
[[nodiscard]] Result<sandbox::Ulimit> parse_ulimit(std::string_view text);
/// "name:address" or "name=address"; IPv6 with or without brackets.
[[nodiscard]] Result<std::pair<std::string, std::string>> parse_host(std::string_view text);

}  // namespace slipway::cli
