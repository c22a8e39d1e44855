// Census: whether a network namespace that a step joined is as it was before.
#pragma once

namespace slipway::init {

/// Counts the sockets of this process's network namespace, of every family (/proc/net/sockstat). Made on the ground.
class Census {
 public:
  Census();
  /// No socket more than at the start, and no TCP connection that only waits to be forgotten (its port would be taken).
  /// False too where the kernel does not tell. To be asked once every process of the step is dead.
  [[nodiscard]] bool unchanged() const;

 private:
  int file_;
  long sockets_;
};

}  // namespace slipway::init
