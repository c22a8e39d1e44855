#include "sys/file.hpp"

#include <gtest/gtest.h>

#include "sys/child.hpp"
#include "sys/lock.hpp"

namespace slipway::sys {
namespace {

TempDir temp() { return *TempDir::make("/tmp", "slipway-sys-test-"); }

TEST(OpenInRoot, NeverLeaves) {
  const TempDir dir = temp();
  ASSERT_TRUE(make_directories(dir.path() + "/root/etc", 0755));
  ASSERT_EQ(symlink("/etc/passwd", (dir.path() + "/root/link").c_str()), 0);
  ASSERT_TRUE(replace_file(dir.path() + "/root/etc/passwd", "inside", 0644));
  const Fd root = *open(dir.path() + "/root", O_PATH | O_DIRECTORY);
  for (const auto* path : {"link", "../../etc/passwd", "/etc/passwd", "etc/../../../etc/passwd"}) {
    const auto file = open_in_root(root.get(), path, O_RDONLY);
    ASSERT_TRUE(file) << path;
    EXPECT_EQ(*read_all(file->get(), 100), "inside") << path;
  }
  EXPECT_FALSE(open_beneath(root.get(), "link", O_RDONLY));
}

TEST(RemoveTree, TakesDeepAndLockedTreesAndFollowsNothing) {
  const TempDir dir = temp();
  ASSERT_TRUE(replace_file(dir.path() + "/outside", "stays", 0644));
  Fd at = *open(dir.path(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "d", 0700), 0);
    ASSERT_EQ(symlinkat((dir.path() + "/outside").c_str(), at.get(), "s"), 0);
    at = *open_at(at.get(), "d", O_RDONLY | O_DIRECTORY);
  }
  EXPECT_TRUE(remove_tree(AT_FDCWD, dir.path() + "/d"));
  EXPECT_TRUE(read_file(dir.path() + "/outside", 10));
  EXPECT_FALSE(read_file(dir.path() + "/d", 10));
}

TEST(ReadAll, HasALimit) {
  const TempDir dir = temp();
  ASSERT_TRUE(replace_file(dir.path() + "/f", "12345", 0600));
  EXPECT_EQ(read_file(dir.path() + "/f", 4).error().code(), Code::kOutOfRange);
}

TEST(FileLock, SecondHolderIsRefused) {
  const TempDir dir = temp();
  const std::string path = dir.path() + "/lock";
  EXPECT_FALSE(*is_locked(path));
  {
    const auto held = FileLock::try_lock(path, LockKind::kExclusive);
    ASSERT_TRUE(held);
    EXPECT_TRUE(*is_locked(path));
    EXPECT_EQ(FileLock::try_lock(path, LockKind::kShared).error().code(), Code::kAborted);
  }
  EXPECT_FALSE(*is_locked(path));
}

TEST(Run, GivesOutputAndStatus) {
  const auto output = run({.argv = {"sh", "-c", "cat; echo bad >&2; exit 3"}}, "hello", Cancel(), 10'000);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, "hello");
  EXPECT_EQ(output->err, "bad\n");
  EXPECT_EQ(output->status.text(), "exit code: 3");
}

TEST(Run, HelpersThatHangEnd) {
  const auto output = run({.argv = {"sleep", "1000"}}, "", Cancel(), 50);
  EXPECT_EQ(output.error().code(), Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace slipway::sys
