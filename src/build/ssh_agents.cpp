#include "build/ssh_agents.hpp"

#include "base/text.hpp"

namespace slipway::build {

Result<SshAgents> SshAgents::open(const std::vector<SshForward>& given) {
  std::map<std::string, const SshForward*> last;
  for (const auto& one : given) last[one.id] = &one;
  SshAgents out;
  for (const auto& [id, one] : last)
    out.agents_[id] = TRY(context(ssh::open_agent(one->paths), "while preparing --ssh {}", printable(id, 128)));
  return out;
}

std::shared_ptr<const ssh::Agent> SshAgents::find(const std::string& id) const {
  const auto found = agents_.find(id);
  return found == agents_.end() ? nullptr : found->second;
}

Result<std::string> SshAgents::socket_for_git(const std::string& directory) {
  const auto agent = find("default");
  if (agent == nullptr) return "";
  if (!agent->socket().empty()) return agent->socket();
  std::string path = directory + "/ssh-agent";
  sys::Fd listener = TRY(context(ssh::listen_at(path), "while lending ssh keys to git"));
  for_git_ = std::make_unique<ssh::Forwarder>(std::move(listener), agent);
  return path;
}

}  // namespace slipway::build
