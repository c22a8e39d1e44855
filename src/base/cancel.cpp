#include "base/cancel.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace slipway {

struct Cancel::State {
  State() : fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~State() {
    if (both >= 0) close(both);
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
  Cancel parent;
  int both = -1;  // an epoll descriptor over ours and the parent's: readable when either fired
  std::mutex mutex;
  std::string reason;
};

bool Cancel::fired() const { return state_ && (state_->fired || state_->parent.fired()); }

Status Cancel::check() const {
  if (!fired()) return {};
  if (!state_->fired) return state_->parent.check();
  const std::lock_guard lock(state_->mutex);
  return fail(Code::kCancelled, "{}", state_->reason.empty() ? "interrupted" : state_->reason);
}

int Cancel::fd() const {
  if (!state_) return -1;
  return state_->both >= 0 ? state_->both : state_->fd;
}

bool Cancel::wait_for(int milliseconds) const {
  pollfd entry{fd(), POLLIN, 0};  // a negative descriptor is skipped by poll: then this only waits
  if (fired()) return true;
  (void)poll(&entry, 1, milliseconds);
  return fired();
}

CancelSource::CancelSource() { cancel_.state_ = std::make_shared<Cancel::State>(); }

CancelSource::CancelSource(const Cancel& parent) : CancelSource() {
  if (parent.fd() < 0) return;
  Cancel::State& state = *cancel_.state_;
  state.parent = parent;
  state.both = epoll_create1(EPOLL_CLOEXEC);
  for (const int fd : {state.fd, parent.fd()}) {
    epoll_event interest{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(state.both, EPOLL_CTL_ADD, fd, &interest);
  }
}

void CancelSource::fire(std::string reason) {
  {
    const std::lock_guard lock(cancel_.state_->mutex);
    if (cancel_.state_->reason.empty()) cancel_.state_->reason = std::move(reason);
  }
  cancel_.state_->fire();
}

void CancelSource::fire_from_signal() { cancel_.state_->fire(); }

}  // namespace slipway
