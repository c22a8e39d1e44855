// The agents that --ssh gives to a build: the user's own behind its socket, or keys from files in this process's
// memory. Never in a key, layer, record or log; src/ssh says what of them a step may use.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "build/build.hpp"
#include "ssh/agent.hpp"
#include "ssh/forwarder.hpp"

namespace slipway::build {

class SshAgents {
 public:
  /// Reads the key files. The last of two with one id counts, as in buildx.
  static Result<SshAgents> open(const std::vector<SshForward>& given);

  [[nodiscard]] bool empty() const { return agents_.empty(); }
  /// Null when that id was not given.
  [[nodiscard]] std::shared_ptr<const ssh::Agent> find(const std::string& id) const;
  /// The socket at which the git program finds the agent "default": the user's own, or one of ours in `directory` (of
  /// this user only) that lives as long as this object. Empty when there is none.
  [[nodiscard]] Result<std::string> socket_for_git(const std::string& directory);

 private:
  std::map<std::string, std::shared_ptr<const ssh::Agent>> agents_;
  std::unique_ptr<ssh::Forwarder> for_git_;
};

}  // namespace slipway::build
