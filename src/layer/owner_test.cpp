#include "layer/owner.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "layer/merged_dir.hpp"
#include "sys/file.hpp"

namespace slipway::layer {
namespace {

/// In a child that lives in a user namespace of one id; gives its exit status: 0 when `body` said yes, 77 where there
/// are no user namespaces.
int with_one_id(const std::function<bool()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    const std::string map = fmt::format("0 {} 1", geteuid()), groups = fmt::format("0 {} 1", getegid());
    if (unshare(CLONE_NEWUSER) != 0) _exit(77);
    const auto write = [](const char* path, const std::string& text) {
      const auto file = sys::open(path, O_WRONLY);
      return file && sys::write_all(file->get(), text);
    };
    if (!write("/proc/self/setgroups", "deny") || !write("/proc/self/uid_map", map) ||
        !write("/proc/self/gid_map", groups))
      _exit(77);
    _exit(records_owners() && body() ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void expect_with_one_id(const std::function<bool()>& body) {
  const int status = with_one_id(body);
  if (status == 77) GTEST_SKIP() << "no user namespaces here";
  EXPECT_EQ(status, 0);
}

class OwnerTest : public ::testing::Test {
 protected:
  sys::TempDir dir_ = *sys::TempDir::make("/var/tmp", "owner-");
  std::string path(const std::string& name) const { return dir_.path() + "/" + name; }
  std::pair<unsigned, unsigned> owner(const std::string& name) const {
    const sys::Fd dir = *sys::open(dir_.path(), O_RDONLY | O_DIRECTORY);
    struct stat info = **sys::lstat_at(dir.get(), name);
    if (!recall_owner_at(dir.get(), name, info)) return {9999, 9999};
    return {info.st_uid, info.st_gid};
  }
};
using Ids = std::pair<unsigned, unsigned>;

TEST_F(OwnerTest, IsRecordedWhereThereIsOneId) {
  ASSERT_TRUE(sys::replace_file(path("file"), "x", 0444));
  ASSERT_EQ(mkdir(path("sub").c_str(), 0500), 0);
  expect_with_one_id([&] {
    const sys::Fd file = *sys::open(path("file"), O_RDONLY), sub = *sys::open(path("sub"), O_RDONLY | O_DIRECTORY);
    if (!give(file.get(), 33, 44, "file") || !give(sub.get(), 0, 7, "sub")) return false;
    struct stat info{};
    if (fstat(file.get(), &info) != 0 || info.st_uid != 0 || !recall_owner(file.get(), info, "file")) return false;
    if (info.st_uid != 33 || info.st_gid != 44) return false;
    if (owner("file") != Ids{33, 44} || owner("sub") != Ids{0, 7}) return false;
    return give(file.get(), 0, 0, "file") && owner("file") == Ids{0, 0};  // and taken back
  });
}

TEST_F(OwnerTest, OfALinkLiesInItsDirectoryAndGoesWithItsTime) {
  expect_with_one_id([&] {
    const sys::Fd dir = *sys::open(dir_.path(), O_RDONLY | O_DIRECTORY);
    const auto link = [&](std::int64_t seconds) {
      (void)unlink(path("link").c_str());
      const timespec times[2] = {{seconds, 5}, {seconds, 5}};
      return symlink("nowhere", path("link").c_str()) == 0 &&
             utimensat(dir.get(), "link", times, AT_SYMLINK_NOFOLLOW) == 0;
    };
    if (!link(1000) || !give_at(dir.get(), "link", 33, 44, {1000, 5}) || owner("link") != Ids{33, 44}) return false;
    if (!link(1001) || owner("link") != Ids{0, 0}) return false;  // another one of that name
    if (!link(1000) || owner("link") != Ids{33, 44}) return false;
    const auto merged = MergedDir::open({dir.get()});
    if (!merged || (*merged->find("link"))->info.st_uid != 33 || merged->list()->front().found.info.st_gid != 44)
      return false;
    const auto plain = MergedDir::open({dir.get()}, MergedDir::Kind::kPlain);  // a context's files are its user's
    return plain && (*plain->find("link"))->info.st_uid == 0;
  });
}

TEST_F(OwnerTest, ARecordThatIsNoneIsAnError) {
  ASSERT_TRUE(sys::replace_file(path("file"), "x", 0644));
  expect_with_one_id([&] {
    const sys::Fd file = *sys::open(path("file"), O_RDONLY);
    for (const char* text :
         {"", "1", "1:", "a:b", "1:2:3", "1:2:3:4:5", "-1:0", "4294967296:0", "4294967295:0", "0:4294967295", "1:2 "}) {
      if (!sys::set_xattr(file.get(), "user.slipway.owner", text, "file")) return false;
      struct stat info{};
      if (fstat(file.get(), &info) != 0) return false;
      if (recall_owner(file.get(), info, "file")) return false;
    }
    return true;
  });
}

TEST_F(OwnerTest, WithManyIdsNothingIsRecorded) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(sys::replace_file(path("file"), "x", 0644));
  const sys::Fd file = *sys::open(path("file"), O_RDONLY);
  EXPECT_FALSE(records_owners());
  ASSERT_TRUE(sys::set_xattr(file.get(), "user.slipway.owner", "5:6", "file"));  // anybody may write that
  EXPECT_EQ(owner("file"), (Ids{0, 0}));
  ASSERT_TRUE(give(file.get(), 33, 44, "file"));
  EXPECT_EQ(owner("file"), (Ids{33, 44}));
}

}  // namespace
}  // namespace slipway::layer
