// Forwarder: answers whoever connects to a listening socket as an SSH agent, until it dies.
#pragma once

#include <memory>

#include "ssh/agent.hpp"
#include "sys/fd.hpp"

namespace slipway::ssh {

class Forwarder {
 public:
  static constexpr std::size_t kConnections = 16;  // at once; more wait in the socket's queue

  Forwarder(sys::Fd listener, std::shared_ptr<const Agent> agent);
  /// Every connection is closed and every thread has ended when this returns, also in the middle of a message.
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A socket at `path` (which must not exist) that only this user may connect to, listening.
[[nodiscard]] Result<sys::Fd> listen_at(const std::string& path);

}  // namespace slipway::ssh
