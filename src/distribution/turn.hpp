// Turn: a place among those who may do something at the same time; whoever gets none does not wait for one.
//
//   const Turn turn(questions_, kMostQuestions);
//   if (!turn) return too_many();
#pragma once

#include <atomic>

namespace slipway::distribution {

class Turn {
 public:
  /// `taken` outlives the object.
  Turn(std::atomic<int>& taken, int most) : taken_(taken), granted_(++taken <= most) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { --taken_; }
  explicit operator bool() const { return granted_; }

 private:
  std::atomic<int>& taken_;
  bool granted_;
};

}  // namespace slipway::distribution
