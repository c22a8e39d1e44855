// The ground: a small mount namespace of init's own, made while it still is outside of the user namespace. It holds
// the store's directories (id-mapped) and what a new root needs of the machine, and nothing else of the host.
//
//   /b/N   base N of the orders      /p  the machine's /proc (its being visible is what allows a fresh one inside)
//   /y     the machine's /sys        /m  where the step's root will be mounted      /w  pid 1's own tmpfs
#pragma once

#include "init/arena.hpp"

namespace slipway::init {

/// Detached copies of the machine's device nodes; -1 where the machine has none.
struct Devices {
  static constexpr unsigned kCount = 6;
  static constexpr const char* kNames[kCount] = {"null", "zero", "full", "random", "urandom", "tty"};
  int mounts[kCount];
};

/// Leaves the host's mount namespace for the ground. `orders.bases` are cloned (id-mapped by the user namespace at
/// kUserNamespaceFd where asked). Layers must be attached before the user namespace is entered: an overlay refuses
/// detached id-mapped mounts (docs/isolation.md).
Devices leave_host(const StepOrders& orders);

/// A path on the ground of a place in a base: "/b/2/sha…/fs".
struct GroundPath {
  char text[4096];
  explicit GroundPath(const Place<Borrowed>& place);
};

}  // namespace slipway::init
