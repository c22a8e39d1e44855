// Retrying: which failures pass, and how long to wait for them.
//
//   return with_retries(policy, cancel, [&]() -> Attempt<Reply> { … });
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string_view>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "base/time.hpp"
#include "registry/patience.hpp"

namespace slipway::registry {

inline constexpr int kMostRetries = 5;
/// Some half a minute: a registry that is restarted under a transfer.
inline constexpr int kMostRetriesOfOneThatWasThere = 10;
inline constexpr std::int64_t kLongestRetryAfter = 60;  ///< seconds; a server that asks for more is an error at once

/// A failed attempt.
struct Setback {
  Error error;
  int retries = 0;                          ///< how often this kind may be tried again; 0: never
  bool unreached = false;                   ///< nobody answered: tried longer where somebody did before
  std::optional<std::int64_t> retry_after;  ///< seconds the server asked for
  int status = 0;                           ///< of the answer that nobody wanted; 0: there was none
  bool renewed = false;                     ///< credentials were renewed meanwhile: asking again may help at once
};
template <class T>
using Attempt = std::expected<T, Setback>;

/// A setback that no waiting heals.
[[nodiscard]] inline std::unexpected<Setback> give_up(Error error) {
  return std::unexpected(Setback{.error = std::move(error)});
}

struct RetryPolicy {
  int first_wait_ms = 250;       ///< doubles with each retry, up to 5 s
  int most = kMostRetries;       ///< 0: somebody else is asked instead
  Patience* patience = nullptr;  ///< of the command; may be nobody's
  /// Told before each wait, in the thread that waits; may be empty.
  std::function<void(const Error& error, std::int64_t wait_ms)> told = {};
};

/// Waits before retry number `tried` + 1, or gives the setback's error when it is not to be tried again: its kind does
/// not pass, it was tried often enough, the server asks for too long a wait or the command's patience would end in it.
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
