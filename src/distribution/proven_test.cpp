#include "distribution/proven.hpp"

#include <gtest/gtest.h>

namespace slipway::distribution {
namespace {

TEST(Proven, EveryUseRenews) {
  Proven proven;
  EXPECT_FALSE(proven.has("alice", 0));
  proven.add("alice", 0);
  proven.add("bob", 0);
  for (std::int64_t now = 0; now < 10 * Proven::kLifeMs; now += Proven::kLifeMs - 1)
    EXPECT_TRUE(proven.has("alice", now)) << now;
  EXPECT_FALSE(proven.has("bob", Proven::kLifeMs));
}

TEST(Proven, WhoWasUsedLeastRecentlyMakesRoom) {
  Proven proven(2);
  proven.add("alice", 1);
  proven.add("bob", 2);
  EXPECT_TRUE(proven.has("alice", 3));
  proven.add("carol", 4);
  EXPECT_TRUE(proven.has("alice", 5));
  EXPECT_TRUE(proven.has("carol", 5));
  EXPECT_FALSE(proven.has("bob", 5));
}

}  // namespace
}  // namespace slipway::distribution
