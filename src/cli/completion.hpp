// Completion scripts for shells, made from the command table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"

namespace slipway::cli {

/// A script for "bash", "zsh" or "fish"; kUsage for another shell.
[[nodiscard]] Result<std::string> completion_script(std::string_view shell,
                                                    const std::vector<const Command*>& commands);

}  // namespace slipway::cli
