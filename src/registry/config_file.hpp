// Docker's config.json: where it is, and what is read of it besides credentials (credentials.hpp).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "registry/credentials.hpp"

namespace slipway::registry {

/// DOCKER_CONFIG/config.json, else ~/.docker/config.json; empty when neither DOCKER_CONFIG nor HOME is set.
[[nodiscard]] std::string config_path(const Environment& environment);
/// A file's text, at most 1 MiB of it; nothing when it is not there.
[[nodiscard]] Result<std::optional<std::string>> read_config(const std::string& path);

/// `proxies` of the file as variables for build steps, each in upper and in lower case: those of the daemon that
/// DOCKER_HOST names (unix:///var/run/docker.sock when it names none), else "default"; not both, as docker does. A
/// missing file has none; a broken one is an error that names it.
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> configured_proxies(
    const Environment& environment);

}  // namespace slipway::registry
