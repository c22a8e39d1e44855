// The options of `slipway build` that say how RUN steps run and what they may have: --ssh, --allow, --add-host,
// --step-timeout, … (spec/dockerfile.md section 12). Reads no file: the environment is passed in.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "build/build.hpp"
#include "cli/option.hpp"
#include "registry/credentials.hpp"

namespace slipway::cli {

/// "default", "ID" (both: the agent of $SSH_AUTH_SOCK) or "ID=SOCKET" or "ID=KEY[,KEY…]".
[[nodiscard]] Result<build::SshForward> parse_ssh(std::string_view text, const registry::Environment& environment);

/// "network.host", "security.insecure", "device", "device=NAME[,alias=NAME]"; "fs…=PATH" and "buildx.local.delete",
/// which are questions of buildx's own, change nothing.
[[nodiscard]] Status add_entitlement(std::string_view text, build::Entitlements& entitlements);

/// "name:address" or "name=address"; IPv6 with or without brackets; "host-gateway" as address.
[[nodiscard]] Result<std::pair<std::string, std::string>> parse_host(std::string_view text);

/// "nofile=1024:2048", "nproc=512", -1 or "unlimited" for no limit.
[[nodiscard]] Result<sandbox::Ulimit> parse_ulimit(std::string_view text);

/// A control group: "/ci/job", also without the first slash.
[[nodiscard]] Result<std::string> parse_cgroup_parent(std::string_view text);

/// All of them into `request`.
[[nodiscard]] Status set_step_options(build::Request& request, const Arguments& arguments,
                                      const registry::Environment& environment);

}  // namespace slipway::cli
