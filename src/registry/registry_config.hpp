// What a machine or a user says of registries besides credentials: mirrors, and who need not prove who they are.
//
//   SLIPWAY_REGISTRY_MIRROR, SLIPWAY_INSECURE_REGISTRY   texts as the options take them, separated by blanks or commas
//   SLIPWAY_REGISTRY_CONFIG                              a file; set and empty: none is read
//   else the first there of $XDG_CONFIG_HOME (~/.config)/slipway/registries.json, /etc/slipway/registries.json and
//   /etc/docker/daemon.json
//
// The file has the keys of Docker's daemon.json: "registry-mirrors" and "insecure-registries", lists of texts; others
// are not looked at. What is named first is asked first: options, variables, the file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "registry/credentials.hpp"
#include "registry/registry_rules.hpp"

namespace slipway::registry {

/// "URL" is a mirror of docker.io, "REGISTRY=URL" of REGISTRY.
struct MirrorOf {
  std::string registry;
  Mirror mirror;
  /// kInvalidArgument.
  [[nodiscard]] static Result<MirrorOf> parse(std::string_view text);
};

/// Adds behind what is there; one that is there already is not added again.
void add_mirror(RegistryRules& rules, const MirrorOf& made);

/// Adds what the text of such a file says.
[[nodiscard]] Status parse_registry_config(std::string_view text, RegistryRules& rules,
                                           std::vector<InsecureRegistry>& insecure);

/// Adds what variables and the file say. Errors name the variable or the file.
[[nodiscard]] Status read_registry_config(const Environment& environment, RegistryRules& rules,
                                          std::vector<InsecureRegistry>& insecure);

}  // namespace slipway::registry
