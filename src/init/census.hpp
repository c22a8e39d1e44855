// Census: whether a network namespace that a step joined is as it was before.
#pragma once

#include <cstddef>

namespace slipway::init {

/// What the kernel counts in this process's network namespace: sockets of every family, and what went through IP, TCP
/// and UDP. Made on the ground.
class Census {
 public:
  Census();
  /// No socket more than at the start, and nothing was sent or received: whatever is outside (a helper's flow, a peer)
  /// knows nothing of the step. Neighbour discovery does not count, the kernel does it by itself. False too where the
  /// kernel does not tell. To be asked once every process of the step is dead.
  [[nodiscard]] bool unchanged() const;

 private:
  struct Text {
    static constexpr std::size_t kSize = 8192;
    char bytes[kSize];
    long size = -1;
    void take(unsigned kind, int file);
    void keep_sockets();
    void keep_traffic();
    [[nodiscard]] bool same(const Text& other) const;
  };
  static constexpr unsigned kFiles = 3;
  int files_[kFiles];
  Text before_[kFiles];
};

}  // namespace slipway::init
