#include "dockerfile/go_match.hpp"

#include <gtest/gtest.h>

namespace slipway::dockerfile {
namespace {

TEST(GoMatch, IsFilepathMatch) {
  const struct {
    std::string_view pattern, name;
    bool matches;
  } kCases[] = {
      {"abc", "abc", true},
      {"*", "abc", true},
      {"*c", "abc", true},
      {"a*", "a", true},
      {"a*", "ab/c", false},
      {"a*/b", "abc/b", true},
      {"a*/b", "a/c/b", false},
      {"a*b*c*d*e*/f", "axbxcxdxexxx/f", true},
      {"x*mid*y", "x-mid-y", true},
      {"x*mid*y", "x-mi-d-y", false},
      {"x*m[i]d*y", "x-mid-y", true},
      {"ab[c]", "abc", true},
      {"ab[b-d]", "abc", true},
      {"ab[^c]", "abc", false},
      {"ab[^e-g]", "abc", true},
      {"a\\*b", "a*b", true},
      {"a\\*b", "ab", false},
      {"a?b", "a☺b", true},
      {"a[^a]b", "a☺b", true},
      {"a???b", "a☺b", false},
      {"[a-ζ]*", "α", true},
      {"*[a-ζ]", "A", false},
      {"a?b", "a/b", false},
      {"[\\]a]", "]", true},
      {"[\\-x]", "-", true},
      {"arr[[]0].txt", "arr[0].txt", true},
      {"", "", true},
      {"", "a", false},
      {"*.txt", ".txt", true},
      {"**", "a", true},
      {"f[!1]", "f1", true},
      {"f[!1]", "f2", false},
  };
  for (const auto& [pattern, name, matches] : kCases) {
    const auto result = go_match(pattern, name);
    ASSERT_TRUE(result) << pattern;
    EXPECT_EQ(*result, matches) << pattern << " " << name;
  }
  for (const auto* bad :
       {"[", "[]", "[]a]", "[^", "[^bc", "[a-", "[-]", "[x-]", "[-x]", "a[", "a\\", "[\\", "*[", "[\xff]"}) {
    EXPECT_EQ(go_match(bad, "a").error().what(), "syntax error in pattern") << bad;
  }
}

TEST(HasWildcard, LooksPastBackslashes) {
  EXPECT_TRUE(has_wildcard("a*"));
  EXPECT_TRUE(has_wildcard("a[[]"));
  EXPECT_FALSE(has_wildcard("a\\*\\?\\["));
  EXPECT_FALSE(has_wildcard("a]"));
}

TEST(GoClean, IsFilepathClean) {
  const struct {
    std::string_view path, clean;
  } kCases[] = {{"", "."},    {"a//b/", "a/b"}, {"./a", "a"}, {"a/../b", "b"}, {"../a", "../a"}, {"a/../../b", "../b"},
                {"/..", "/"}, {"/../a", "/a"},  {"/", "/"},   {"a/..", "."}};
  for (const auto& [path, clean] : kCases) EXPECT_EQ(go_clean(path), clean) << path;
}

}  // namespace
}  // namespace slipway::dockerfile
