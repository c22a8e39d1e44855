#include "build/buildkit_sums.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buildcache/keys.hpp"
#include "sys/file.hpp"

// What buildkitd 0.31 computed for the same files, as its cache debugger tells it.
namespace slipway::build {
namespace {

struct BuildkitSumsTest : testing::Test {
  BuildkitSumsTest() {
    write("a.txt", "a\n", 0644);
    write("b.txt", "b\n", 0644);
    write("src/sub/f", "s\n", 0644);
    write("src/g", "g\n", 0755);
    EXPECT_EQ(::symlink("f", (dir.path() + "/src/sub/l").c_str()), 0);
  }
  void write(const std::string& name, const std::string& text, mode_t mode) {
    const std::string path = dir.path() + "/" + name;
    ASSERT_TRUE(sys::make_directories(path.substr(0, path.rfind('/')), 0755));
    ASSERT_TRUE(sys::replace_file(path, text, mode));
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }
  std::string content(const std::vector<std::string>& paths, TreeOf of = TreeOf::kContext) {
    const Tree tree(*layer::MergedDir::open_paths({dir.path()}, layer::MergedDir::Kind::kPlain), std::nullopt);
    const CancelSource never;
    const auto sum = buildkit_content(tree, of, paths, {}, never.cancel());
    EXPECT_TRUE(sum) << sum.error().what();
    return *sum ? (*sum)->text() : "nothing";
  }
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-sums-");
};

TEST_F(BuildkitSumsTest, ADirectory) {
  EXPECT_EQ(content({"/src"}), "sha256:e70d4eaa5cb48be3ff3d06043c6029f0e46ed1145caec5d5fcb9ad817567ae5e");
  EXPECT_EQ(content({"/src", "/src/g"}), content({"/src"})) << "what lies in another path is seen with it";
}

TEST_F(BuildkitSumsTest, Files) {
  const auto sum = [](std::string_view text) {
    return oci::Digest::of(buildcache::FileHead{.mode = 0644, .size = 2, .link = {}, .xattrs = {}}.text() +
                           std::string(text));
  };
  EXPECT_EQ(content({"/b.txt", "/a.txt"}), buildcache::content_of({sum("a\n"), sum("b\n")}).text())
      << "in the order of their paths";
  EXPECT_EQ(content({"/src/sub/l"}), content({"/src/sub/f"})) << "a link that is named is followed";
  EXPECT_EQ(content({"/none"}), "nothing");
}

TEST_F(BuildkitSumsTest, WhatCountsAndWhatDoesNot) {
  const auto before = content({"/"});
  const timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir.path() + "/a.txt").c_str(), times, 0), 0);
  EXPECT_EQ(content({"/"}), before) << "no times";
  ASSERT_EQ(::chmod((dir.path() + "/a.txt").c_str(), 0600), 0);
  EXPECT_NE(content({"/"}), before);
  EXPECT_EQ(content({"/"}, TreeOf::kStage), "nothing") << "a stage's root has attributes that are not looked at";
}

TEST_F(BuildkitSumsTest, Patterns) {
  const auto all = content({"/*.txt"});
  EXPECT_EQ(all, content({"/?.txt"})) << "what is matched counts, not the words";
  write("c.txt", "c\n", 0644);
  EXPECT_NE(content({"/*.txt"}), all);
  EXPECT_EQ(content({"/*.none"}), buildcache::content_of({oci::Digest::of("")}).text());
}

}  // namespace
}  // namespace slipway::build
