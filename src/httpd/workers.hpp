// Workers: threads that are started when there is something to do and nobody free, up to a number.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/synced.hpp"
#include "base/time.hpp"

namespace slipway::httpd {

class Workers {
 public:
  explicit Workers(std::size_t most) : most_(most) {}
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  /// Runs what was added, then ends the threads.
  ~Workers() {
    {
      auto state = state_.lock();
      state->closed = true;
      ready_.notify_all();
    }
    threads_.clear();
  }

  /// From one thread only. Where the system gives no more threads, those that there are do it; std::system_error when
  /// there is none at all.
  void add(std::function<void()> task) {
    auto state = state_.lock();
    state->tasks.push_back({monotonic_ms(), std::move(task)});
    if (state->idle >= state->tasks.size() || threads_.size() >= most_) {
      ready_.notify_one();
      return;
    }
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      if (threads_.empty()) throw;
    }
  }

  /// How many tasks have waited for a thread for `least_ms`.
  [[nodiscard]] std::size_t overdue(std::int64_t least_ms) {
    const std::int64_t before = monotonic_ms() - least_ms;
    auto state = state_.lock();
    return static_cast<std::size_t>(
        std::ranges::count_if(state->tasks, [&](const Task& task) { return task.added <= before; }));
  }

 private:
  struct Task {
    std::int64_t added;  ///< monotonic ms
    std::function<void()> run;
  };
  struct State {
    std::deque<Task> tasks;
    std::size_t idle = 0;
    bool closed = false;
  };

  void work() {
    // sendfile and OpenSSL have no flag against it; a peer that left is an error of the call.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    while (true) {
      std::function<void()> task;
      {
        auto state = state_.lock();
        ++state->idle;
        state.wait(ready_, [&] { return state->closed || !state->tasks.empty(); });
        --state->idle;
        if (state->tasks.empty()) return;
        task = std::move(state->tasks.front().run);
        state->tasks.pop_front();
      }
      task();
    }
  }

  const std::size_t most_;
  Synced<State> state_;
  std::condition_variable ready_;
  std::vector<std::jthread> threads_;
};

}  // namespace slipway::httpd
