#include "cli/build_tools.hpp"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "base/text.hpp"

namespace slipway::cli {

Status lend_build_tools(Session& session, const build::Request& request, registry::Client& client,
                        const std::function<Status(build::Tools&)>& use) {
  auto store = TRY(session.open_store());
  std::int64_t git_disk_bytes = build::kGitDiskBytes;
  if (const std::string limit = session.variable("SLIPWAY_GIT_MAX_SIZE"); !limit.empty())
    git_disk_bytes = TRY(context(parse_human_size(limit), "while reading SLIPWAY_GIT_MAX_SIZE"));
  const auto proxies = TRY(http::Proxies::from(session.environment));
  std::mutex making;                      // steps start on many threads
  std::unique_ptr<sandbox::Sandbox> box;  // made by the first step that really runs
  build::Tools tools{
      .store = store,
      .client = client,
      .sandbox = [&]() -> Result<sandbox::Sandbox*> {
        const std::lock_guard lock(making);
        if (!box) {
          const bool reach_host = std::ranges::any_of(
              request.extra_hosts, [](const auto& host) { return host.second == sandbox::kHostGateway; });
          box = std::make_unique<sandbox::Sandbox>(
              TRY(sandbox::Sandbox::make({.root = store.root(), .require_isolation = "", .reach_host = reach_host})));
        }
        return box.get();
      },
      .scope = session.scope,
      .standard_output = [&](std::string_view bytes) { return session.out.write(bytes); },
      .standard_input = source_of(STDIN_FILENO, "standard input", session.cancel),
      .http = {.user_agent = "slipway/" SLIPWAY_VERSION,
               .ca_file = session.variable("SSL_CERT_FILE"),
               .ca_directory = session.variable("SSL_CERT_DIR"),
               .proxies = proxies},
      .search_path = session.variable("PATH"),
      .git_disk_bytes = git_disk_bytes,
      .ssh_agent = session.variable("SSH_AUTH_SOCK")};
  return use(tools);
}

}  // namespace slipway::cli
