// A bounded queue between threads: a slow reader stops the writer, a closed queue ends both.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <optional>

#include "base/synced.hpp"

namespace slipway {

template <class T>
class Queue {
 public:
  explicit Queue(std::size_t capacity) : capacity_(capacity) {}

  /// Blocks while full. False when the queue was closed: the item is dropped and the writer should stop.
  bool push(T item) {
    auto state = state_.lock();
    state.wait(not_full_, [&] { return state->closed || state->items.size() < capacity_; });
    if (state->closed) return false;
    state->items.push_back(std::move(item));
    not_empty_.notify_one();
    return true;
  }

  /// Blocks while empty. Empty answer: closed, and everything pushed before was taken.
  std::optional<T> pop() {
    auto state = state_.lock();
    state.wait(not_empty_, [&] { return state->closed || !state->items.empty(); });
    if (state->items.empty()) return std::nullopt;
    std::optional<T> item(std::move(state->items.front()));
    state->items.pop_front();
    not_full_.notify_one();
    return item;
  }

  /// No more pushes; readers drain what is there. May be called many times, from any thread.
  void close() {
    auto state = state_.lock();
    state->closed = true;
    not_empty_.notify_all();
    not_full_.notify_all();
  }

 private:
  struct State {
    std::deque<T> items;
    bool closed = false;
  };
  const std::size_t capacity_;
  Synced<State> state_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
};

}  // namespace slipway
