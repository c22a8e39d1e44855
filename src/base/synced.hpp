// Data married to its mutex: unlocked access does not compile (after Nix's sync.hh).
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace slipway {

template <class T>
class Synced {
 public:
  Synced() = default;
  explicit Synced(T value) : value_(std::move(value)) {}

  /// Holds the lock while it lives. `wait(condition)` gives it up meanwhile.
  class Lock {
   public:
    T* operator->() const { return &owner_->value_; }
    T& operator*() const { return owner_->value_; }
    template <class Predicate>
    void wait(std::condition_variable& condition, Predicate ready) {
      condition.wait(lock_, std::move(ready));
    }

   private:
    friend class Synced;
    explicit Lock(Synced& owner) : owner_(&owner), lock_(owner.mutex_) {}
    Synced* owner_;
    std::unique_lock<std::mutex> lock_;
  };

  [[nodiscard]] Lock lock() { return Lock(*this); }

 private:
  std::mutex mutex_;
  T value_{};
};

}  // namespace slipway
