// Help pages, made from the command table.
#pragma once

#include <string>
#include <vector>

#include "cli/command.hpp"

namespace slipway::cli {

/// `slipway help`: what it is, three examples, all commands, global options, exit codes.
[[nodiscard]] std::string help_page(const std::vector<const Command*>& commands);
/// `slipway COMMAND --help`.
[[nodiscard]] std::string help_page(const Command& command);

}  // namespace slipway::cli
