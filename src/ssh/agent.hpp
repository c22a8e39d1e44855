// What a build step may ask of an SSH agent: which keys there are, and a signature. Nothing else passes.
//
// The protocol is draft-ietf-sshm-ssh-agent: frames of `length:uint32 type:byte body`. A step is hostile: a message is
// bounded, taken apart, and only what was understood is put together again for the user's agent. Adding, removing and
// locking keys and all extensions are answered with a failure, as BuildKit's sshforward does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "ssh/private_key.hpp"

namespace slipway::ssh {

inline constexpr std::uint32_t kMessageLimit = 256 * 1024;  // OpenSSH's AGENT_MAX_LEN

/// A request that may pass.
struct Request {
  enum class Kind : unsigned char { kList, kSign };
  Kind kind = Kind::kList;
  std::string_view key, data;  ///< kSign: the public blob, and what is to be signed; they point into the message
  std::uint32_t flags = 0;     ///< kSign: 2 and 4 only
};

/// `message` without its length. Nothing for what must not pass, or is malformed.
[[nodiscard]] std::optional<Request> parse_request(std::string_view message);
/// The message that says no.
[[nodiscard]] std::string failure();

class Agent {
 public:
  virtual ~Agent() = default;
  /// The answer, without its length: never more than the limit, and of a kind that belongs to the request. Thread safe.
  [[nodiscard]] virtual std::string answer(const Request& request, const Cancel& cancel) const = 0;
  /// The socket of the agent, when it is one of somebody else; empty otherwise.
  [[nodiscard]] virtual std::string socket() const { return {}; }
};

/// Keys held in this process's memory.
[[nodiscard]] std::shared_ptr<Agent> agent_of_keys(std::vector<PrivateKey> keys);
/// The agent that listens at `path`; connected to anew for each request, so that no state of a step stays in it.
[[nodiscard]] std::shared_ptr<Agent> agent_at_socket(std::string path);

/// --ssh ID=PATH[,PATH…]: one socket, or key files. Errors name the path: it is missing, no key, needs a passphrase;
/// "invalid combination of keys and sockets", "only single socket allowed".
[[nodiscard]] Result<std::shared_ptr<Agent>> open_agent(const std::vector<std::string>& paths);

}  // namespace slipway::ssh
