#include "distribution/places.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace slipway::distribution {
namespace {

TEST(Places, OneAddressTakesAPartOnly) {
  Places places({.checks = 1, .open = 5, .open_of_one_address = 3, .kept = 0, .kept_of_one_name = 0});
  std::vector<Places::Place> guesser;
  while (auto place = places.enter("192.0.2.1", "alice", false)) guesser.push_back(std::move(*place));
  EXPECT_EQ(guesser.size(), 3U);
  auto one = places.enter("192.0.2.2", "alice", false);
  auto two = places.enter("192.0.2.2", "alice", false);
  EXPECT_TRUE(one && two);
  EXPECT_FALSE(places.enter("192.0.2.3", "alice", true)) << "there are five";
  guesser.pop_back();
  EXPECT_TRUE(places.enter("192.0.2.3", "alice", true));
}

TEST(Places, SomeAreKeptForNamesThatThereAre) {
  Places places({.checks = 1, .open = 4, .open_of_one_address = 2, .kept = 3, .kept_of_one_name = 2});
  std::vector<Places::Place> guessers;
  for (const char* from : {"192.0.2.1", "192.0.2.2", "192.0.2.3"})
    while (auto place = places.enter(from, "mallory", false)) guessers.push_back(std::move(*place));
  EXPECT_EQ(guessers.size(), 4U);
  std::vector<Places::Place> alice;
  while (auto place = places.enter("192.0.2.1", "alice", true)) alice.push_back(std::move(*place));
  EXPECT_EQ(alice.size(), 2U) << "one name takes a part only";
  auto bob = places.enter("192.0.2.1", "bob", true);
  EXPECT_TRUE(bob);
  EXPECT_FALSE(places.enter("192.0.2.1", "carol", true));
  bob.reset();
  EXPECT_TRUE(places.enter("192.0.2.1", "carol", true));
}

TEST(Places, TurnsComeInOrder) {
  Places places({.checks = 1, .open = 9, .open_of_one_address = 9, .kept = 0, .kept_of_one_name = 0});
  auto first = places.enter("a", "x", false);
  first->wait_for_turn();
  std::mutex mutex;
  std::vector<int> order;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&, i, place = places.enter("a", "x", false)]() mutable {
        place->wait_for_turn();
        const std::lock_guard lock(mutex);
        order.push_back(i);
        place.reset();
      });
    EXPECT_TRUE(order.empty());
    first.reset();
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Places, WhoLeavesWithoutATurnIsNotWaitedFor) {
  Places places({.checks = 1, .open = 2, .open_of_one_address = 2, .kept = 0, .kept_of_one_name = 0});
  auto gone = places.enter("a", "x", false);
  auto next = places.enter("a", "x", false);
  gone.reset();
  next->wait_for_turn();
  EXPECT_TRUE(places.enter("a", "x", false));
}

TEST(Places, OneAddress) {
  EXPECT_EQ(one_address("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(one_address("::ffff:192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(one_address("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(one_address("2001:db8:1:2::9"), "2001:db8:1:2::/64");
  EXPECT_NE(one_address("2001:db8:1:3::9"), one_address("2001:db8:1:2::9"));
  EXPECT_EQ(one_address(""), "");
}

}  // namespace
}  // namespace slipway::distribution
