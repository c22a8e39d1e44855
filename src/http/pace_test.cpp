#include "http/pace.hpp"

#include <gtest/gtest.h>

namespace slipway::http {
namespace {

constexpr Pace::Rules kRules{.silence_ms = 60'000, .slowest_bytes = 30 * 1024, .window_ms = 30'000};

/// Feeds `rate` bytes a second until the pace objects, for at most `seconds`; gives when, or -1.
std::int64_t objects_after(Pace& pace, std::int64_t rate, std::int64_t seconds, std::int64_t from = 0,
                           std::int64_t total = 0) {
  for (std::int64_t second = 1; second <= seconds; ++second)
    if (pace.late((from + second) * 1000, total + rate * second, true)) return second;
  return -1;
}

TEST(Pace, AKibibyteASecondIsAlive) {
  Pace pace(kRules, 0);
  EXPECT_EQ(objects_after(pace, 1024, 100'000), -1);
}

TEST(Pace, LessThanThatIsDeadAfterAWindow) {
  Pace pace(kRules, 0);
  EXPECT_EQ(objects_after(pace, 1023, 1000), 31);  // a window after the first byte
}

TEST(Pace, AFastBeginningDoesNotPayForASlowEnd) {
  Pace pace(kRules, 0);
  ASSERT_EQ(objects_after(pace, 10 << 20, 100), -1);
  const auto dead = objects_after(pace, 10, 1000, 100, std::int64_t{1000} << 20);
  EXPECT_GE(dead, 29);
  EXPECT_LE(dead, 32);
}

TEST(Pace, BetweenBodiesOnlySilenceCounts) {
  Pace pace(kRules, 0);
  ASSERT_FALSE(pace.late(0, 1000, true));
  for (int second = 1; second < 60; ++second) EXPECT_FALSE(pace.late(second * 1000, 1000, false)) << second;
  EXPECT_TRUE(pace.late(60'000, 1000, false));
}

TEST(Pace, AnEventIsNoSilence) {
  Pace pace(kRules, 0);
  pace.event(59'000);
  EXPECT_FALSE(pace.late(118'000, 0, false));
  EXPECT_TRUE(pace.late(119'000, 0, false));
}

}  // namespace
}  // namespace slipway::http
