#include "build/source_walk.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

struct SourceWalkTest : testing::Test {
  void write(const std::string& name) {
    const std::string path = dir.path() + "/" + name;
    ASSERT_TRUE(sys::make_directories(path.substr(0, path.rfind('/')), 0755));
    ASSERT_TRUE(sys::replace_file(path, name, 0644));
  }
  Tree tree() {
    return Tree(*layer::MergedDir::open_paths({dir.path()}, layer::MergedDir::Kind::kPlain), std::nullopt);
  }

  /// What is taken, in order: "d/" a directory, "(d/)" one that is only on the way, "^" the end of one.
  std::string taken(const std::string& include, const std::vector<std::string>& excludes) {
    Selection selection;
    if (!include.empty()) selection.include = std::make_shared<const Include>(*Include::parse(include));
    if (!excludes.empty())
      selection.excludes = std::make_shared<const dockerfile::Matcher>(*dockerfile::Matcher::from_patterns(excludes));
    const Tree all = tree();
    SourceWalk walk = *SourceWalk::open(all, all.root(), selection);
    std::vector<std::string> out;
    SourceWalk::Step step;
    while (*walk.next(step)) {
      const bool directory = step.kind == SourceWalk::Kind::kDirectory;
      if (step.kind == SourceWalk::Kind::kUp)
        out.emplace_back("^");
      else
        out.push_back(!directory ? step.path : step.selected ? step.path + "/" : "(" + step.path + "/)");
    }
    return join(out, " ");
  }
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-walk-");
};

TEST_F(SourceWalkTest, TakesEverythingSorted) {
  for (const auto* name : {"b", "a/x", "a/d/y", "c/z"}) write(name);
  EXPECT_EQ(taken("", {}), "a/ a/d/ a/d/y ^ a/x ^ b c/ c/z ^");
}

TEST_F(SourceWalkTest, ExcludesHoldBelowWhatTheyMatch) {
  for (const auto* name : {"k", "x.log", "sub/y.log", "sub/tmp/z"}) write(name);
  EXPECT_EQ(taken("", {"*.log", "sub/tmp"}), "k sub/ sub/y.log ^");
  EXPECT_EQ(taken("", {"**/*.log"}), "k sub/ sub/tmp/ sub/tmp/z ^ ^");
  EXPECT_EQ(taken("", {"sub"}), "k x.log");
}

TEST_F(SourceWalkTest, WhatIsIncludedAgainBringsItsDirectories) {
  for (const auto* name : {"node/a/keep", "node/a/drop", "node/b/drop", "src"}) write(name);
  EXPECT_EQ(taken("", {"node", "!node/a/keep"}), "(node/) (node/a/) node/a/keep ^ ^ src");
  EXPECT_EQ(taken("", {"*", "!src"}), "src");
  EXPECT_EQ(taken("", {"*", "!**/keep"}), "(node/) (node/a/) node/a/keep ^ ^");
}

TEST_F(SourceWalkTest, IncludesLeadToWhatTheyName) {
  for (const auto* name : {"a/b/c/f", "a/b/g", "a/other", "z"}) write(name);
  EXPECT_EQ(taken("a/b/g", {}), "(a/) (a/b/) a/b/g ^ ^");
  EXPECT_EQ(taken("a/b", {}), "(a/) (a/b/) (a/b/c/) a/b/c/f ^ a/b/g ^ ^");
  EXPECT_EQ(taken("a/missing", {}), "");
  EXPECT_EQ(taken("*/o*", {}), "(a/) a/other ^");
  EXPECT_EQ(taken("**/f", {}), "(a/) (a/b/) (a/b/c/) a/b/c/f ^ ^ ^");
  EXPECT_EQ(taken("a/**", {"a/b"}), "(a/) a/other ^");
  EXPECT_EQ(taken("a/**/g", {}), "(a/) (a/b/) a/b/g ^ ^");
}

TEST_F(SourceWalkTest, AnEmptyDirectoryThatIsNamedIsTaken) {
  write("a/f");
  ASSERT_TRUE(sys::make_directories(dir.path() + "/a/empty", 0755));
  EXPECT_EQ(taken("a/empty", {}), "(a/) (a/empty/) ^ ^");
  EXPECT_EQ(taken("a/f", {}), "(a/) a/f ^");
}

TEST_F(SourceWalkTest, LinksAreEntries) {
  write("real/f");
  ASSERT_EQ(symlink("real", (dir.path() + "/link").c_str()), 0);
  EXPECT_EQ(taken("", {}), "link real/ real/f ^");
  EXPECT_EQ(taken("link", {}), "link");
  EXPECT_EQ(taken("link/f", {}), "");
}

TEST(Include, KnowsPlainPathsAndEverything) {
  EXPECT_TRUE(Include::parse("a/./b/../c")->plain());
  EXPECT_EQ(Include::parse("../a//c/")->text(), "a/c");
  EXPECT_FALSE(Include::parse("a/*")->plain());
  EXPECT_TRUE(Include::parse(".")->all());
  EXPECT_TRUE(Include::parse("/")->all());
  EXPECT_EQ(Include::parse("a/[").error().what(), "syntax error in pattern");
}

}  // namespace
}  // namespace slipway::build
