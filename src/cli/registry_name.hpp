// RegistryName: the registry that `login` and `logout` are told to use.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::cli {

/// "docker.io" for nothing and for Docker Hub's names; "https://host:5000/v2/" → "host:5000".
[[nodiscard]] Result<std::string> registry_name(std::string_view text);

}  // namespace slipway::cli
