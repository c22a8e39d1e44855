// All commands, in the order that help shows them. Each is defined in cmd_<name>.cpp: parse, call, render.
#pragma once

#include <vector>

#include "cli/command.hpp"

namespace slipway::cli {

[[nodiscard]] const Command& build_command();
[[nodiscard]] const Command& completion_command();
[[nodiscard]] const Command& df_command();
[[nodiscard]] const Command& doctor_command();
[[nodiscard]] const Command& executor_command();
[[nodiscard]] const Command& fsck_command();
[[nodiscard]] const Command& gc_command();
[[nodiscard]] const Command& help_command();
[[nodiscard]] const Command& history_command();
[[nodiscard]] const Command& images_command();
[[nodiscard]] const Command& import_command();
[[nodiscard]] const Command& inspect_command();
[[nodiscard]] const Command& load_command();
[[nodiscard]] const Command& login_command();
[[nodiscard]] const Command& manifest_command();
[[nodiscard]] const Command& logout_command();
[[nodiscard]] const Command& pull_command();
[[nodiscard]] const Command& push_command();
[[nodiscard]] const Command& registry_command();
[[nodiscard]] const Command& rmi_command();
[[nodiscard]] const Command& save_command();
[[nodiscard]] const Command& tag_command();
[[nodiscard]] const Command& version_command();
[[nodiscard]] const Command& warmer_command();
[[nodiscard]] const Command& why_command();

[[nodiscard]] const std::vector<const Command*>& all_commands();

}  // namespace slipway::cli
