#include "dockerfile/ignore.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "dockerfile/go_match.hpp"

namespace slipway::dockerfile {
namespace {

using testing::ElementsAre;

// Those of `paths` (blank separated) that stay.
std::vector<std::string> kept(std::string_view text, std::string_view paths) {
  const auto matcher = Matcher::parse(text);
  EXPECT_TRUE(matcher) << text;
  std::vector<std::string> out;
  if (!matcher) return out;
  for (const auto path : split(paths, ' '))
    if (!matcher->excluded(path)) out.emplace_back(path);
  return out;
}

TEST(Ignore, CasesOfTheConformanceSuite) {
  EXPECT_THAT(kept("[a-c].txt\n?z\nf[!1]\n", "a.txt d.txt yz f1 f2"), ElementsAre("d.txt", "f2"));
  EXPECT_THAT(kept("x\r\n!x/keep\r\n", "x/keep x/drop y"), ElementsAre("x/keep", "y"));
  EXPECT_THAT(kept("**/node_modules\na/**/z\n**/*.o\n!**/keep.o\nb/**\n",
                   "node_modules/x p/node_modules/y a/z a/1/2/z a/1/y m.o n/keep.o b/c b"),
              ElementsAre("a/1/y", "n/keep.o", "b"));
  EXPECT_THAT(kept("!a\n*\n!a\nb\n!b\nc?\n!c[12]\n", "a b c1 c3"), ElementsAre("a", "b", "c1"));
}

TEST(Ignore, Lines) {
  EXPECT_THAT(kept("\xef\xbb\xbf#a\n #b\n\n  c  \n! c/d \n/e\n./f\ng//h/\ni/../j\n.\n", "a #b c c/d e f g/h j i"),
              ElementsAre("a", "c/d", "i"));
  EXPECT_THAT(kept("a\\*\n\\!b\n\\#c\n", "a* ab !b #c"), ElementsAre("ab"));
  EXPECT_THAT(kept("*\n!*.md\nREADME-secret.md\n", "a README.md README-secret.md x/README.md"),
              ElementsAre("README.md"));
  EXPECT_THAT(kept("**\n!a/b\n", "a a/b a/b/c x"), ElementsAre("a/b", "a/b/c"));
  EXPECT_THAT(kept("**foo\nbar**\n", "xfoo a/xfoo foox bar barx/y"), ElementsAre("foox"));
  EXPECT_THAT(kept("a**b\n", "ab a/b a/x/b axb a/xb"), ElementsAre("axb", "a/xb"));
}

TEST(Ignore, Errors) {
  const auto bad = Matcher::parse("ok\n[a-\n", "my.dockerignore");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().what(), "syntax error in pattern");
  EXPECT_EQ(bad.error().range(), (SourceRange{"my.dockerignore", 2, 2}));
  EXPECT_EQ(
      bad.error().excerpt(),
      "my.dockerignore:2\n--------------------\n   1 |     ok\n   2 | >>> [a-\n   3 |     \n--------------------\n");
  EXPECT_EQ(Matcher::parse("!\n").error().what(), "illegal exclusion pattern: \"!\"");
  EXPECT_EQ(Matcher::from_patterns({"a\\"}).error().what(), "syntax error in pattern");
  EXPECT_EQ(Matcher::parse(std::string(kIgnoreLimit + 1, 'a')).error().code(), Code::kOutOfRange);
}

TEST(Ignore, PatternsOfExcludeFlags) {
  const auto matcher = Matcher::from_patterns({"*.log", "sub/tmp", "#x", "!keep.log"});
  ASSERT_TRUE(matcher);
  EXPECT_TRUE(matcher->excluded("x.log"));
  EXPECT_FALSE(matcher->excluded("sub/y.log"));
  EXPECT_TRUE(matcher->excluded("sub/tmp/z"));
  EXPECT_TRUE(matcher->excluded("#x"));
  EXPECT_FALSE(matcher->excluded("keep.log"));
  EXPECT_TRUE(Matcher::from_patterns({})->empty());
}

Verdict verdict_of(const Matcher& matcher, std::string_view path) {
  Verdict verdict = Matcher::root();
  for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1))
    verdict = matcher.judge(verdict, path.substr(0, slash));
  return matcher.judge(verdict, path);
}

TEST(Ignore, PrunesWhereNothingCanComeBack) {
  const auto can_prune = [](std::string_view text, std::string_view path) {
    const auto matcher = Matcher::parse(text);
    return matcher->can_prune(verdict_of(*matcher, path), path);
  };
  EXPECT_TRUE(can_prune("a\n", "a"));
  EXPECT_TRUE(can_prune("a\n", "a/b"));
  EXPECT_FALSE(can_prune("a\n", "b"));
  EXPECT_FALSE(can_prune("*\n!a/b/c\n", "a"));
  EXPECT_FALSE(can_prune("*\n!a/b/c\n", "a/b"));
  EXPECT_TRUE(can_prune("*\n!a/b/c\n", "b"));
  EXPECT_TRUE(can_prune("!a/b/c\n*\n", "a"));
  EXPECT_FALSE(can_prune("*\n!**/keep\n", "a"));
  EXPECT_FALSE(can_prune("*\n!a/**/keep\n", "a/x/y"));
  EXPECT_TRUE(can_prune("*\n!a/**/keep\n", "b"));
  EXPECT_FALSE(can_prune("*\n!*/keep\n", "a"));
  EXPECT_TRUE(can_prune("*\n!*/keep\n", "a/b"));
  EXPECT_TRUE(can_prune("*\n!x*/keep\n", "a"));
}

// The indices against the plain meaning: each pattern alone, the last one that excludes decides.
TEST(Ignore, IndicesAgreeWithThePlainRule) {
  std::uint32_t state = 1;
  const auto below = [&](std::uint32_t n) {
    state = state * 1664525 + 1013904223;
    return (state >> 8U) % n;
  };
  constexpr std::string_view kSegments[] = {"a",  "b",    "ab",  "*",   "?",   "**", "a*",
                                            "*b", "[ab]", "**a", "a**", "c.o", "*.o"};
  constexpr std::string_view kNames[] = {"a", "b", "ab", "aab", "c.o", "x"};
  const auto path_of = [&](const auto& names, std::uint32_t count) {
    std::string path(names[below(count)]);
    for (std::uint32_t more = below(3); more > 0; --more) path += "/" + std::string(names[below(count)]);
    return path;
  };
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> patterns;
    for (std::uint32_t i = below(6) + 1; i > 0; --i)
      patterns.push_back((below(3) == 0 ? "!" : "") + path_of(kSegments, 13));
    const auto matcher = Matcher::from_patterns(patterns);
    ASSERT_TRUE(matcher);
    for (int i = 0; i < 30; ++i) {
      const std::string path = path_of(kNames, 6), child = path + "/" + std::string(kNames[below(6)]);
      bool expected = false;
      for (const auto& pattern : patterns) {
        const bool negated = pattern[0] == '!';
        if (Matcher::from_patterns({pattern.substr(negated ? 1 : 0)})->excluded(path)) expected = !negated;
      }
      ASSERT_EQ(matcher->excluded(path), expected) << path << " by " << join(patterns, ", ");
      if (matcher->can_prune(verdict_of(*matcher, path), path)) {
        ASSERT_TRUE(matcher->excluded(child)) << child << " by " << join(patterns, ", ");
      }
    }
  }
}

TEST(Ignore, ManyLinesCostNoMoreThanTheyWeigh) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) {
    constexpr std::string_view kForms[] = {"dir/sub{0}/file", "**/name{0}", "*.ext{0}", "dir{0}/**",
                                           "!dir/sub{0}/file/keep"};
    text += fmt::format(
        fmt::runtime(i % 50 == 2 ? kForms[2] : kForms[static_cast<std::size_t>(i % 5 == 2 ? 0 : i % 5)]), i);
    text += '\n';
  }
  const auto matcher = Matcher::parse(text);
  ASSERT_TRUE(matcher);
  int excluded = 0;
  for (int i = 0; i < 20'000; ++i) excluded += matcher->excluded(fmt::format("dir/sub{}/file", i)) ? 1 : 0;
  EXPECT_GT(excluded, 2'000);
  EXPECT_TRUE(matcher->excluded("deep/down/name1/x"));
  EXPECT_FALSE(matcher->excluded("dir/sub4/file/keep"));
}

TEST(Ignore, HostilePatternsDoNotBacktrack) {
  std::string pattern = "**/";
  for (int i = 0; i < 100; ++i) pattern += "*a**/";
  const auto matcher = Matcher::parse(pattern + "b\n");
  ASSERT_TRUE(matcher);
  std::string path;
  for (int i = 0; i < 50; ++i) path += "aaaaaaaaaaaaaaaaaaaa/";
  EXPECT_FALSE(matcher->excluded(path + "c"));
}

}  // namespace
}  // namespace slipway::dockerfile
