#include "layer/merged_dir.hpp"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "sys/file.hpp"

namespace slipway::layer {
namespace {

struct MergedDirTest : testing::Test {
  void SetUp() override {
    for (const auto* layer : {"top", "bottom"}) ASSERT_TRUE(sys::make_directories(path(layer), 0755));
  }
  std::string path(const std::string& name) const { return dir.path() + "/" + name; }
  void write(const std::string& name) { ASSERT_TRUE(sys::replace_file(path(name), name, 0644)); }
  void mkdir(const std::string& name) { ASSERT_TRUE(sys::make_directories(path(name), 0755)); }
  std::string names(const MergedDir& of) {
    std::string text;
    const auto children = of.list();
    if (!children) return "(error)";
    for (const auto& child : *children) text += child.name + " ";
    return text;
  }
  MergedDir open() { return *MergedDir::open_paths({path("top"), path("bottom")}); }
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-merged-");
};

TEST_F(MergedDirTest, TheTopmostWinsAndDirectoriesMerge) {
  mkdir("top/d"), mkdir("bottom/d");
  write("top/d/a"), write("bottom/d/a"), write("bottom/d/b");
  const MergedDir d = *open().enter("d");
  EXPECT_EQ(names(d), "a b ");
  EXPECT_EQ((*d.find("a"))->layer, 0u);
  EXPECT_EQ((*d.find("b"))->layer, 1u);
  EXPECT_FALSE((*d.find("c")).has_value());
}

TEST_F(MergedDirTest, WhiteoutsOpaqueAndFilesHide) {
  write("bottom/gone");
  if (mknod(path("top/gone").c_str(), S_IFCHR, makedev(0, 0)) != 0) GTEST_SKIP() << "mknod is not allowed here";
  mkdir("top/o"), mkdir("bottom/o"), write("bottom/o/old"), write("top/o/new");
  ASSERT_EQ(setxattr(path("top/o").c_str(), "user.overlay.opaque", "y", 1, 0), 0);
  mkdir("bottom/f"), write("bottom/f/x"), write("top/f");
  EXPECT_EQ(names(open()), "f o ");
  EXPECT_FALSE((*open().find("gone")).has_value());
  EXPECT_EQ(names(*open().enter("o")), "new ");
  EXPECT_EQ(open().enter("f").error().code(), Code::kNotFound);
}

TEST_F(MergedDirTest, APlainDirectoryIsTakenAsItIs) {
  if (mknod(path("top/device").c_str(), S_IFCHR, makedev(0, 0)) != 0) GTEST_SKIP() << "mknod is not allowed here";
  EXPECT_EQ(names(*MergedDir::open_paths({path("top")}, MergedDir::Kind::kPlain)), "device ");
}

TEST_F(MergedDirTest, NeverFollowsALink) {
  ASSERT_EQ(symlink("/etc", path("top/link").c_str()), 0);
  EXPECT_FALSE(open().enter("link"));
}

}  // namespace
}  // namespace slipway::layer
