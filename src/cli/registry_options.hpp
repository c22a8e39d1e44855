// Options of the commands that talk to registries: mirrors, and registries that need not prove who they are.
#pragma once

#include "cli/option.hpp"
#include "registry/client.hpp"

namespace slipway::cli {

inline constexpr Option kRegistryMirrorOption = {
    .name = "registry-mirror",
    .takes = Takes::kValues,
    .value = "[REGISTRY=]URL",
    .help = "ask there before Docker Hub (or REGISTRY), which stays the fallback (SLIPWAY_REGISTRY_MIRROR)"};
inline constexpr Option kInsecureRegistryOption = {
    .name = "insecure-registry",
    .takes = Takes::kValues,
    .value = "HOST[:PORT]|CIDR",
    .help = "a registry with any certificate, or without TLS (SLIPWAY_INSECURE_REGISTRY)"};

/// What the two say, before what is in `options` already. kUsage names the option.
[[nodiscard]] Status apply_registry_options(const Arguments& arguments, registry::ClientOptions& options);

}  // namespace slipway::cli
