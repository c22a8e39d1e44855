// Patience: how long a command goes on without real progress, over all of its transfers together.
//
//   const Patience::Watch watch(patience);      // the clock runs while something is under way
//   patience.progress(bytes.size());            // bytes that were never here before
//   patience.answered();                        // an answer that was wanted
//   TRY(patience.check());                      // kDeadlineExceeded once nothing came of anything for too long
//
// Real is what a peer can not give twice: headers, refusals, redirects and bytes that come again do not count. A KiB
// pays for a second: who gives less gains nothing by giving it for ever. The time
// in which a callback of ours holds a transfer up (a slow disk, an unpacker that is behind) is nobody's silence.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/synced.hpp"

namespace slipway::registry {

class Patience {
 public:
  explicit Patience(int limit_ms) : limit_ms_(limit_ms) {}

  /// Something is being transferred while one of these lives.
  class Watch {
   public:
    explicit Watch(Patience& patience) : patience_(patience) { patience_.enter(); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { patience_.leave(); }

   private:
    Patience& patience_;
  };
  /// Somebody of ours holds a transfer up while one of these lives.
  class Hold {
   public:
    explicit Hold(Patience& patience) : patience_(patience) { patience_.hold(); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() { patience_.let_go(); }

   private:
    Patience& patience_;
  };

  void progress(std::int64_t bytes);
  void answered();
  /// Success, or kDeadlineExceeded.
  [[nodiscard]] Status check();
  /// Milliseconds until check() fails when nothing happens.
  [[nodiscard]] std::int64_t left_ms();
  /// Whether anything was transferred at all: a peer that answered before will be back sooner than one that never did.
  [[nodiscard]] bool moved();
  /// "90 s", for texts.
  [[nodiscard]] std::string limit() const;

 private:
  void enter();
  void leave();
  void hold();
  void let_go();

  struct State {
    int watched = 0;
    bool moved = false;
    int held = 0;
    std::int64_t held_since = 0;
    std::int64_t spare = 0;  ///< bytes that have not yet paid for a second
    std::int64_t since = 0;  ///< the last progress, later by the time of all holds after it
  };
  const int limit_ms_;
  Synced<State> state_;
};

}  // namespace slipway::registry
