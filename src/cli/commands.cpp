#include "cli/commands.hpp"

namespace slipway::cli {

const std::vector<const Command*>& all_commands() {
  static const std::vector<const Command*> commands = {
      &build_command(),    &why_command(),    &pull_command(),     &push_command(),       &images_command(),
      &tag_command(),      &rmi_command(),    &inspect_command(),  &history_command(),    &load_command(),
      &save_command(),     &import_command(), &manifest_command(), &login_command(),      &logout_command(),
      &registry_command(), &df_command(),     &gc_command(),       &executor_command(),   &warmer_command(),
      &fsck_command(),     &doctor_command(), &version_command(),  &completion_command(), &help_command()};
  return commands;
}

}  // namespace slipway::cli
