#include "dockerfile/excerpt.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"

namespace slipway::dockerfile {
namespace {

TEST(Excerpt, ShowsTwoLinesAroundOne) {
  EXPECT_EQ(excerpt("FROM base\nCOPY a /a\nRUN exit 3\n", "Dockerfile", 3, 3),
            "Dockerfile:3\n"
            "--------------------\n"
            "   1 |     FROM base\n"
            "   2 |     COPY a /a\n"
            "   3 | >>> RUN exit 3\n"
            "   4 |     \n"
            "--------------------\n");
}

TEST(Excerpt, ShowsOneLineAroundSeveral) {
  EXPECT_EQ(excerpt("1\n2\n3\n4\n5\n6", "f", 3, 4),
            "f:3\n--------------------\n   2 |     2\n   3 | >>> 3\n   4 | >>> 4\n   5 |     5\n"
            "--------------------\n");
  EXPECT_EQ(excerpt("1\n2\n3", "f", 1, 9),
            "f:1\n--------------------\n   1 | >>> 1\n   2 | >>> 2\n   3 | >>> 3\n--------------------\n");
}

TEST(Excerpt, IsSafeToPrintAndBounded) {
  EXPECT_EQ(excerpt("\ta\x1b[31m\r\n", "f", 1, 1),
            "f:1\n--------------------\n   1 | >>> \ta\\x1b[31m\n   2 |     \n--------------------\n");
  EXPECT_EQ(excerpt("a", "f", 0, 0), "");
  EXPECT_EQ(excerpt("a", "f", 2, 2), "");
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += "x\n";
  const std::string block = excerpt(text, "f", 2, 9'000);
  const auto lines = split(block, '\n');
  EXPECT_EQ(lines.size(), 207U);
  EXPECT_EQ(lines[103], " ... | >>> (8799 more lines)");
  EXPECT_EQ(lines[104], " 8901 | >>> x");
  EXPECT_LT(excerpt(std::string(100'000, 'x'), "f", 1, 1).size(), 1200U);
}

}  // namespace
}  // namespace slipway::dockerfile
