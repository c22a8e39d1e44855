#include "registry/retry.hpp"

#include <ctime>
#include <string>

#include "base/text.hpp"

namespace slipway::registry {

Status wait_for_retry(const RetryPolicy& policy, const Setback& setback, int tried, const Cancel& cancel) {
  TRY(cancel.check());
  const bool was_there = setback.unreached && policy.patience != nullptr && policy.patience->moved();
  const int retries = was_there ? kMostRetriesOfOneThatWasThere : std::min(setback.retries, policy.most);
  if (tried >= retries || setback.retry_after.value_or(0) > kLongestRetryAfter) return std::unexpected(setback.error);
  std::int64_t wait_ms = std::min<std::int64_t>(std::int64_t{policy.first_wait_ms} << tried, 5000);
  if (setback.retry_after) wait_ms = std::max(wait_ms, *setback.retry_after * 1000);
  if (policy.patience != nullptr && policy.patience->left_ms() <= wait_ms) {
    Error error = setback.error;
    return std::unexpected(
        error.with_hint(fmt::format("given up: nothing was transferred for {}", policy.patience->limit())));
  }
  if (policy.told) policy.told(setback.error, wait_ms);
  if (cancel.wait_for(static_cast<int>(wait_ms))) return cancel.check();
  return {};
}

std::optional<std::int64_t> parse_retry_after(std::string_view value, Timestamp now) {
  value = trim(value);
  if (const auto seconds = parse_size(value)) return *seconds;
  std::tm date{};
  const std::string text(value);
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::max<std::int64_t>(0, ::timegm(&date) - now.seconds);
}

}  // namespace slipway::registry
