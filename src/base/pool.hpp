// Pool: a fixed number of threads that run tasks in order of arrival.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "base/queue.hpp"

namespace slipway {

class Pool {
 public:
  explicit Pool(std::size_t threads) : tasks_(1 << 20) {
    threads_.reserve(threads);
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  /// Runs what was added, then ends the threads.
  ~Pool() { tasks_.close(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void add(std::function<void()> task) { tasks_.push(std::move(task)); }

 private:
  void work() {
    while (auto task = tasks_.pop()) (*task)();
  }
  Queue<std::function<void()>> tasks_;
  std::vector<std::jthread> threads_;  // last: joined before the queue dies
};

}  // namespace slipway
