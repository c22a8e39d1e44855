#include "registry/patience.hpp"

#include <algorithm>

#include "base/time.hpp"

namespace slipway::registry {
namespace {

constexpr std::int64_t kBytesOfASecond = 1024;

}  // namespace

void Patience::enter() {
  auto state = state_.lock();
  if (state->watched++ > 0) return;
  state->since = monotonic_ms();
  state->spare = 0;
}

void Patience::leave() { --state_.lock()->watched; }

void Patience::hold() {
  auto state = state_.lock();
  if (state->held++ == 0) state->held_since = monotonic_ms();
}

void Patience::let_go() {
  auto state = state_.lock();
  if (--state->held > 0) return;
  const std::int64_t now = monotonic_ms();
  state->since = std::min(now, state->since + (now - state->held_since));
}

void Patience::progress(std::int64_t bytes) {
  auto state = state_.lock();
  state->moved = state->moved || bytes > 0;
  state->spare += bytes;
  state->since = std::min(monotonic_ms(), state->since + state->spare / kBytesOfASecond * 1000);
  state->spare %= kBytesOfASecond;
}

void Patience::answered() { state_.lock()->since = monotonic_ms(); }

std::int64_t Patience::left_ms() {
  auto state = state_.lock();
  if (state->watched == 0 || state->held > 0) return limit_ms_;
  return state->since + limit_ms_ - monotonic_ms();
}

bool Patience::moved() { return state_.lock()->moved; }

Status Patience::check() {
  if (left_ms() > 0) return {};
  return fail(Code::kDeadlineExceeded, "nothing was transferred for {}: given up", limit());
}

std::string Patience::limit() const { return fmt::format("{} s", limit_ms_ / 1000.0); }

}  // namespace slipway::registry
