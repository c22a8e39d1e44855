#include "base/cancel.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace slipway {

struct Cancel::State {
  State() : fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~State() {
    if (fd >= 0) close(fd);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void fire() {
    fired = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = write(fd, &one, sizeof one);  // full means it is readable already
  }

  std::atomic<bool> fired = false;
  int fd;
  std::mutex mutex;
  std::string reason;
};

bool Cancel::fired() const { return state_ && state_->fired; }

Status Cancel::check() const {
  if (!fired()) return {};
  const std::lock_guard lock(state_->mutex);
  return fail(Code::kCancelled, "{}", state_->reason.empty() ? "interrupted" : state_->reason);
}

int Cancel::fd() const { return state_ ? state_->fd : -1; }

bool Cancel::wait_for(int milliseconds) const {
  pollfd entry{fd(), POLLIN, 0};  // a negative descriptor is skipped by poll: then this only waits
  if (fired()) return true;
  (void)poll(&entry, 1, milliseconds);
  return fired();
}

CancelSource::CancelSource() { cancel_.state_ = std::make_shared<Cancel::State>(); }

void CancelSource::fire(std::string reason) {
  {
    const std::lock_guard lock(cancel_.state_->mutex);
    if (cancel_.state_->reason.empty()) cancel_.state_->reason = std::move(reason);
  }
  cancel_.state_->fire();
}

void CancelSource::fire_from_signal() { cancel_.state_->fire(); }

}  // namespace slipway
