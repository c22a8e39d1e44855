// Cancel: "stop now", handed down explicitly. A flag that many threads may test, and a descriptor that poll(2) sees.
//
//   CancelSource source;                       // owned by whoever may stop the work (main, a request)
//   pull(ref, source.cancel());                // a cheap copy goes to everything that blocks
//   source.fire("interrupted");                // all of them return Code::kCancelled soon
#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"

namespace slipway {

/// A cheap copy, safe in any thread. A default-made one never fires.
class Cancel {
 public:
  Cancel() = default;
  [[nodiscard]] bool fired() const;
  /// Success, or Code::kCancelled with the reason.
  [[nodiscard]] Status check() const;
  /// Readable for poll(2) once fired; -1 for one that never fires. Owned by the source.
  [[nodiscard]] int fd() const;
  /// Waits until fired or `milliseconds` passed; true when fired. The only sleep that production code uses.
  [[nodiscard]] bool wait_for(int milliseconds) const;

 private:
  friend class CancelSource;
  struct State;
  std::shared_ptr<State> state_;
};

class CancelSource {
 public:
  CancelSource();
  /// Fires on its own and also whenever `parent` has fired.
  explicit CancelSource(const Cancel& parent);
  [[nodiscard]] Cancel cancel() const { return cancel_; }
  /// The first reason counts. Thread safe. For signal handlers use `fire_from_signal`.
  void fire(std::string reason);
  /// Async-signal-safe: sets the flag and writes to the descriptor; the reason is "interrupted".
  void fire_from_signal();

 private:
  Cancel cancel_;
};

}  // namespace slipway
