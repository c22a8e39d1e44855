#include "cli/commands.hpp"
#include "cli/registry_name.hpp"
#include "cli/session.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  const auto registry =
      TRY(registry_name(arguments.positional().empty() ? "" : std::string_view(arguments.positional()[0])));
  const bool removed = TRY(registry::remove_login(session.environment, registry, session.variables, session.cancel));
  const std::string shown = registry == "docker.io" ? "https://index.docker.io/v1/" : registry;
  TRY(session.out.write(
      fmt::format("{} {}\n", removed ? "Removing login credentials for" : "Not logged in to", shown)));
  return 0;
}

}  // namespace

const Command& logout_command() {
  static const Command command = {
      .name = "logout",
      .summary = "Forget the credentials for a registry",
      .arguments = "[SERVER]",
      .examples = {{"slipway logout registry.example", "one registry"},
                   {"slipway logout registry.example:5000", "with its port, as it was logged in to"},
                   {"slipway logout", "Docker Hub"}},
      .most = 1,
      .needs = Needs::kNothing,
      .run = run};
  return command;
}

}  // namespace slipway::cli
