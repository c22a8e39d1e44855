// Workers: threads that are started when there is something to do and nobody free, up to a number.
#pragma once

#include <condition_variable>
#include <csignal>
#include <deque>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "base/synced.hpp"

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

  /// From one thread only.
  void add(std::function<void()> task) {
    auto state = state_.lock();
    state->tasks.push_back(std::move(task));
    if (state->idle >= state->tasks.size() || threads_.size() >= most_) {
      ready_.notify_one();
      return;
    }
    threads_.emplace_back([this] { work(); });
  }

 private:
  struct State {
    std::deque<std::function<void()>> tasks;
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
        task = std::move(state->tasks.front());
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
