// Retrying: which failures pass, and how long to wait for them.
//
//   return with_retries(policy, cancel, [&]() -> Attempt<Reply> { … });
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "base/time.hpp"

namespace slipway::registry {

inline constexpr int kMostRetries = 5;
inline constexpr std::int64_t kLongestRetryAfter = 60;  ///< seconds; a server that asks for more is an error at once

/// A failed attempt.
struct Setback {
  Error error;
  int retries = 0;                          ///< how often this kind may be tried again; 0: never
  std::optional<std::int64_t> retry_after;  ///< seconds the server asked for
};
template <class T>
using Attempt = std::expected<T, Setback>;

/// A setback that no waiting heals.
[[nodiscard]] inline std::unexpected<Setback> give_up(Error error) {
  return std::unexpected(Setback{std::move(error), 0, {}});
}

struct RetryPolicy {
  int first_wait_ms = 250;  ///< doubles with each retry, up to 5 s
  int most = kMostRetries;  ///< 0: somebody else is asked instead
};

/// Waits before retry number `tried` + 1, or gives the setback's error when it is not to be tried again.
[[nodiscard]] Status wait_for_retry(const RetryPolicy& policy, const Setback& setback, int tried, const Cancel& cancel);

/// Seconds of a Retry-After value (a number, or an HTTP date against `now`); nothing when it can not be read.
[[nodiscard]] std::optional<std::int64_t> parse_retry_after(std::string_view value, Timestamp now);

template <class Function>
auto with_retries(const RetryPolicy& policy, const Cancel& cancel, Function attempt)
    -> Result<typename decltype(attempt())::value_type> {
  for (int tried = 0;; ++tried) {
    auto outcome = attempt();
    if (outcome) {
      if constexpr (std::is_void_v<typename decltype(attempt())::value_type>)
        return {};
      else
        return *std::move(outcome);
    }
    TRY(wait_for_retry(policy, outcome.error(), tried, cancel));
  }
}

}  // namespace slipway::registry
