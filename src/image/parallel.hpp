// Many like things at once, with one answer: all went well, or the first thing that really went wrong.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "base/pool.hpp"
#include "base/synced.hpp"

namespace slipway::image {

/// Calls `work(i, cancel)` for i = 0 … count-1, in that order of starting, at most `threads` at a time. The first
/// failure stops the others through their `cancel` and is the answer.
[[nodiscard]] inline Status for_each_parallel(std::size_t count, int threads, const Cancel& outer,
                                              const std::function<Status(std::size_t, const Cancel&)>& work) {
  CancelSource inner(outer);
  Synced<std::optional<Error>> first;
  {
    Pool pool(std::min(count, static_cast<std::size_t>(threads)));
    for (std::size_t i = 0; i < count; ++i) {
      pool.add([&, i] {
        Status status = inner.cancel().check();
        if (status) status = work(i, inner.cancel());
        if (status) return;
        auto held = first.lock();
        if (!*held) *held = status.error();
        inner.fire("stopped because of another failure");
      });
    }
  }
  TRY(outer.check());
  if (const auto error = *first.lock()) return std::unexpected(*error);
  return {};
}

}  // namespace slipway::image
