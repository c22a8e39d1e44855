// Whatever the unpacker makes of an archive, the check finds nothing; and it finds every change made afterwards.
#include "store/tree_check.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <functional>

#include "store/test_image.hpp"

namespace slipway::store {
namespace {

using layer::Entry;
using layer::EntryType;
using testing::file;
using testing::TestFile;

TestFile other(EntryType type, std::string path, std::string link = "", std::uint32_t mode = 0755) {
  return {Entry{.type = type,
                .path = std::move(path),
                .mode = mode,
                .mtime = {1600000000, 0},
                .link_target = std::move(link)},
          ""};
}

struct TreeCheckTest : ::testing::Test {
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-store-test-");
  std::string tree = dir.path() + "/fs";
  std::string lower = dir.path() + "/lower";
  std::string tar;

  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "archives with owners and devices need root";
    ASSERT_EQ(::mkdir(tree.c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(lower.c_str(), 0755), 0);
  }
  void unpack(const std::vector<TestFile>& files) {
    tar = *testing::make_tar(files);
    const sys::Fd fs = *sys::open(tree, O_RDONLY | O_DIRECTORY);
    const auto done = layer::unpack(testing::source_of(tar), fs.get(), {}, Cancel());
    ASSERT_TRUE(done) << done.error().message();
  }
  std::vector<std::string> check() {
    const sys::Fd fs = *sys::open(tree, O_RDONLY | O_DIRECTORY);
    const sys::Fd below = *sys::open(lower, O_RDONLY | O_DIRECTORY);
    const auto found = check_tree(fs.get(), testing::source_of(tar), {below.get()}, Cancel());
    std::vector<std::string> out;
    if (!found) out.push_back("error: " + found.error().message());
    for (const auto& difference : found ? *found : std::vector<TreeDifference>())
      out.push_back(difference.path + " " + difference.problem);
    return out;
  }
  std::vector<TestFile> usual() const {
    TestFile device = other(EntryType::kCharDevice, "dev/null", "", 0666);
    device.entry.dev_major = 1;
    device.entry.dev_minor = 3;
    TestFile owned = file("etc/shadow", "secret");
    owned.entry.uid = 5;
    owned.entry.gid = 42;
    owned.entry.xattrs = {{"user.note", "kept"}, {"user.overlay.opaque", "y"}};
    return {other(EntryType::kDirectory, "./"),
            other(EntryType::kDirectory, "etc/"),
            owned,
            file("usr/share/implied/parents.txt", "x"),
            other(EntryType::kDirectory, "usr/lib"),
            other(EntryType::kSymlink, "lib", "usr/lib", 0777),
            file("lib/behind-a-link.so", std::string(300'000, 'b')),
            other(EntryType::kHardLink, "usr/lib/second-name.so", "lib/behind-a-link.so"),
            other(EntryType::kFifo, "run/pipe", "", 0600),
            device,
            file("twice.txt", "first"),
            file("twice.txt", "second"),
            file("gone/.wh.old", ""),
            file("opaque/.wh..wh..opq", ""),
            file("opaque/new", "n"),
            file(".wh..wh.plnk", ""),
            file("again", "new"),
            file(".wh.again", "")};
  }
};

TEST_F(TreeCheckTest, AnUntouchedTreeIsClean) {
  unpack(usual());
  EXPECT_EQ(check(), std::vector<std::string>());
}

struct Change {
  const char* name;
  std::function<void(const std::string& tree)> make;
  const char* expect;
};
void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }
struct TreeChangeTest : TreeCheckTest, ::testing::WithParamInterface<Change> {};

TEST_P(TreeChangeTest, IsFound) {
  unpack(usual());
  GetParam().make(tree);
  const auto found = check();
  ASSERT_EQ(found.size(), 1U) << ::testing::PrintToString(found);
  EXPECT_EQ(found[0].find(GetParam().expect), 0U) << found[0];
}

void keep_time(const std::string& path, const std::function<void()>& change) {
  struct stat info{};
  ASSERT_EQ(::lstat(path.c_str(), &info), 0);
  change();
  const timespec times[2] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, TreeChangeTest,
    ::testing::Values(
        Change{"FlippedBit",
               [](const std::string& tree) {
                 keep_time(tree + "/usr/share/implied/parents.txt", [&] {
                   const sys::Fd fd = *sys::open(tree + "/usr/share/implied/parents.txt", O_RDWR);
                   ASSERT_TRUE(sys::write_all_at(fd.get(), "y", 0));
                 });
               },
               "usr/share/implied/parents.txt has other bytes"},
        Change{"Truncated",
               [](const std::string& tree) {
                 keep_time(tree + "/opaque/new", [&] { ASSERT_EQ(::truncate((tree + "/opaque/new").c_str(), 0), 0); });
               },
               "opaque/new has 0 bytes, should have 1"},
        Change{"Mode", [](const std::string& tree) { ASSERT_EQ(::chmod((tree + "/etc/shadow").c_str(), 0666), 0); },
               "etc/shadow has the mode 0666, should have 0644"},
        Change{"Owner", [](const std::string& tree) { ASSERT_EQ(::chown((tree + "/etc/shadow").c_str(), 0, 42), 0); },
               "etc/shadow belongs to 0:42, should belong to 5:42"},
        Change{"Time",
               [](const std::string& tree) {
                 const timespec times[2] = {{5, 0}, {5, 0}};
                 ASSERT_EQ(::utimensat(AT_FDCWD, (tree + "/etc").c_str(), times, 0), 0);
               },
               "etc was changed at 5"},
        Change{"Attribute",
               [](const std::string& tree) {
                 ASSERT_EQ(::setxattr((tree + "/etc/shadow").c_str(), "user.note", "else", 4, 0), 0);
               },
               "etc/shadow has other extended attributes"},
        Change{"Target",
               [](const std::string& tree) {
                 keep_time(tree, [&] {
                   keep_time(tree + "/lib", [&] {
                     ASSERT_EQ(::unlink((tree + "/lib").c_str()), 0);
                     ASSERT_EQ(::symlink("./usr/lib", (tree + "/lib").c_str()), 0);
                   });
                 });
               },
               "lib is a link to another target"},
        Change{"Missing",
               [](const std::string& tree) {
                 keep_time(tree, [&] { ASSERT_EQ(::unlink((tree + "/twice.txt").c_str()), 0); });
               },
               "twice.txt is missing"},
        Change{"Foreign",
               [](const std::string& tree) {
                 ASSERT_TRUE(sys::replace_file(tree + "/usr/share/implied/foreign", "x", 0644));
               },
               "usr/share/implied/foreign is not part of its layer"},
        Change{"ForeignDirectory",
               [](const std::string& tree) { ASSERT_EQ(::mkdir((tree + "/usr/share/foreign").c_str(), 0755), 0); },
               "usr/share/foreign is not part of its layer"},
        Change{"LostWhiteout", [](const std::string& tree) { ASSERT_EQ(::unlink((tree + "/gone/old").c_str()), 0); },
               "gone/old should hide what is below it"},
        Change{"Device",
               [](const std::string& tree) {
                 keep_time(tree + "/dev/null", [&] {
                   ASSERT_EQ(::unlink((tree + "/dev/null").c_str()), 0);
                   ASSERT_EQ(::mknod((tree + "/dev/null").c_str(), S_IFCHR | 0666, makedev(1, 5)), 0);
                   ASSERT_EQ(::chmod((tree + "/dev/null").c_str(), 0666), 0);
                 });
               },
               "dev/null is another device"},
        Change{"LostOpaque",
               [](const std::string& tree) {
                 ASSERT_EQ(::removexattr((tree + "/opaque").c_str(), "user.overlay.opaque"), 0);
               },
               "opaque is not opaque"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(TreeCheckTest, WhatOverlayCopiedUpUnchangedIsNoFinding) {
  unpack({file("new.txt", "new")});
  for (const auto& at : {lower, tree}) {
    ASSERT_TRUE(sys::make_directories(at + "/etc/sub", 0755));
    ASSERT_TRUE(sys::replace_file(at + "/etc/sub/same", "same", 0644));
    const timespec times[2] = {{5, 0}, {5, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (at + "/etc/sub/same").c_str(), times, 0), 0);
  }
  ASSERT_EQ(::mknod((tree + "/nothing-below").c_str(), S_IFCHR, 0), 0);
  EXPECT_EQ(check(), std::vector<std::string>());
  ASSERT_TRUE(sys::replace_file(lower + "/nothing-below", "now there is", 0644));
  EXPECT_EQ(check().size(), 1U);
}

TEST_F(TreeCheckTest, HolesCountAsZeros) {
  unpack({file("zeros", std::string(200'000, '\0'))});
  EXPECT_EQ(check(), std::vector<std::string>());
}

}  // namespace
}  // namespace slipway::store
