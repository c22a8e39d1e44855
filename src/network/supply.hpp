// Network namespaces for build steps, connected to the outside by a helper program. The door of this folder.
//
//   Supply supply(connect);                       // connect: what only the sandbox can do, it owns the user namespace
//   supply.warm();                                // makes the first in the background
//   auto uplink = TRY(supply.take(cancel));       // one of one's own, or nothing: supply.note() says why
//   supply.give_back(*std::move(uplink));         // only when the step left no socket in it
//
// A step has its namespace for itself. It takes a used one only where no trace is left of the step before: it sent and
// received nothing over IP, and no socket of any family is left. Most steps never open one, and the helper's start
// takes some 45 ms. One whose helper died, or that was made before the machine got another address, is not given out.
//
// Default deny: from inside, only addresses outside of this machine can be reached. Host loopback is not mapped, no
// port is forwarded either way, and the machine's own addresses and link-local ones (169.254.0.0/16, fe80::/10) are
// barred by routes that a step, without CAP_NET_ADMIN, can not change.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "network/helper.hpp"
#include "sys/fd.hpp"

namespace slipway::network {

/// A connected namespace; its helper ends when `keeper` dies.
struct Uplink {
  sys::Fd space;
  std::shared_ptr<void> keeper;
  std::function<bool()> alive;  ///< whether the helper still runs
  std::vector<Prefix> barred;   ///< as it was made
  std::string host_address;     ///< what stands for this machine inside; empty: nothing does
};

/// Makes a namespace and starts the helper for it; blocks until that is ready or its deadline passed.
using Connect = std::function<Result<Uplink>(const HelperCommand& command)>;

class Supply {
 public:
  /// `descriptors`: the numbers under which `connect` gives the helper what it needs.
  Supply(Connect connect, const HelperDescriptors& descriptors, HostAccess access = HostAccess::kNone);
  ~Supply();  ///< ends the helpers of all that were not taken
  Supply(const Supply&) = delete;
  Supply& operator=(const Supply&) = delete;

  /// Starts making the first namespace in the background; returns at once. Later calls do nothing.
  void warm();
  /// A namespace of one's own, connected; nothing when this machine has no uplink or no helper (note() says why).
  [[nodiscard]] Result<std::optional<Uplink>> take(const Cancel& cancel);
  /// For the next take(): see above.
  void give_back(Uplink uplink);
  /// One line when steps have loopback only; empty otherwise. Known after the first take().
  [[nodiscard]] std::string note() const;
  /// What a connected step's /etc/resolv.conf holds.
  [[nodiscard]] std::string resolv_conf() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway::network
