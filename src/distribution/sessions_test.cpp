#include "distribution/sessions.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/time.hpp"
#include "store/test_store.hpp"

namespace slipway::distribution {
namespace {

constexpr int kDeadlineMs = 30'000;

const auto kNobodyWaits = [] { return Cancel(); };

struct SessionsTest : store::StoreTest {
  /// Files of the store that this process has open and nobody can open again.
  [[nodiscard]] int deleted_and_open() const {
    int count = 0;
    for (const auto& name : list("/proc/self/fd")) {
      std::string target(4096, '\0');
      const auto size = ::readlink(("/proc/self/fd/" + name).c_str(), target.data(), target.size());
      target.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
      if (target.starts_with(root) && target.ends_with(" (deleted)")) ++count;
    }
    return count;
  }
};

TEST_F(SessionsTest, WhatIsOverElsewhereIsClosedWithoutAnotherRequest) {
  store::Store store = open(), elsewhere = open();
  store::Repositories here(store, ""), there(elsewhere, "");
  Sessions sessions(here, 20);
  std::string id;
  {
    auto held = sessions.begin("app");
    ASSERT_TRUE(held) << held.error().message();
    ASSERT_TRUE(held->upload().write("bytes"));
    ASSERT_TRUE(held->upload().save());
    id = held->upload().id();
  }
  auto other = there.open_upload("app", id);
  ASSERT_TRUE(other) << other.error().message();
  ASSERT_TRUE(other->drop());
  const Cancel never;
  const std::int64_t until = monotonic_ms() + kDeadlineMs;
  while (deleted_and_open() > 0 && monotonic_ms() < until) (void)never.wait_for(5);
  EXPECT_EQ(deleted_and_open(), 0);
  EXPECT_EQ(sessions.hold("app", id, kNobodyWaits).error().code(), Code::kNotFound);
}

TEST_F(SessionsTest, WhoWaitsForAnotherProcessCanLeave) {
  store::Store store = open(), elsewhere = open();
  store::Repositories here(store, ""), there(elsewhere, "");
  Sessions sessions(here);
  const store::Upload writing = *there.begin_upload("app");
  CancelSource left;
  left.fire("the peer hung up");
  int looked = 0;
  const auto held = sessions.hold("app", writing.id(), [&] {
    ++looked;
    return left.cancel();
  });
  EXPECT_EQ(held.error().code(), Code::kAborted);
  EXPECT_EQ(looked, 1) << "it went on waiting";
}

TEST_F(SessionsTest, WhoWaitsForAnotherRequestCanLeave) {
  store::Store store = open();
  store::Repositories here(store, "");
  Sessions sessions(here);
  auto first = sessions.begin("app");
  CancelSource left;
  left.fire("the peer hung up");
  EXPECT_EQ(sessions.hold("app", first->upload().id(), [&] { return left.cancel(); }).error().code(), Code::kCancelled);
}

}  // namespace
}  // namespace slipway::distribution
