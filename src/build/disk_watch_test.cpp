#include "build/disk_watch.hpp"

#include <gtest/gtest.h>

#include "sys/file.hpp"

namespace slipway::build {
namespace {

struct DiskWatchTest : testing::Test {
  void write(const std::string& name, std::size_t bytes) {
    ASSERT_TRUE(sys::make_directories(dir.path() + "/a/b", 0755));
    ASSERT_TRUE(sys::replace_file(dir.path() + "/a/b/" + name, std::string(bytes, 'x'), 0644));
  }
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-watch-");
};

TEST_F(DiskWatchTest, CountsAllThatIsBelow) {
  DiskWatch watch(dir.path(), 1 << 20, Cancel());
  write("one", 600'000);
  EXPECT_FALSE(watch.cancel().fired());
  write("two", 600'000);
  const Status ended = watch.finish();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code(), Code::kResourceExhausted);
  DiskWatch larger(dir.path(), 1 << 22, Cancel());
  EXPECT_TRUE(larger.finish());
}

TEST_F(DiskWatchTest, StopsWhatGoesOn) {
  write("much", 2 << 20);
  DiskWatch watch(dir.path(), 1 << 20, Cancel());
  EXPECT_TRUE(watch.cancel().wait_for(60'000));
  EXPECT_FALSE(watch.finish());
}

TEST_F(DiskWatchTest, FiresWithItsParentAndWithoutAFault) {
  CancelSource source;
  DiskWatch watch(dir.path(), 1 << 20, source.cancel());
  source.fire("stopped");
  EXPECT_TRUE(watch.cancel().wait_for(60'000));
  EXPECT_TRUE(watch.finish());
}

}  // namespace
}  // namespace slipway::build
