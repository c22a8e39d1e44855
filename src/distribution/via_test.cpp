#include "distribution/via.hpp"

#include <gtest/gtest.h>

namespace slipway::distribution {
namespace {

TEST(Via, NamesAreRandomAndComeBack) {
  const std::string one = *mirror_name(), other = *mirror_name();
  EXPECT_NE(one, other);
  EXPECT_EQ(one.size(), 40U);
  EXPECT_EQ(via_header({}, one), "1.1 " + one);
  EXPECT_EQ(mirrors_of({via_header({one}, other)}), (std::vector{one, other}));
}

TEST(Via, OtherProgramsAreNoMirrors) {
  const std::string own = *mirror_name();
  EXPECT_EQ(
      mirrors_of({"1.0 fred, HTTP/1.1 proxy.corp.example:3128 (squid, of slipway)", "2 \t " + own + " (comment)"}),
      std::vector{own});
  for (const std::string& text : {std::string(), std::string(","), std::string("1.1"), own, "1.1 " + own + "0",
                                  "1.1 x" + own, std::string("1.1 slipway-"), "1.1 " + own.substr(0, 39) + "G"})
    EXPECT_TRUE(mirrors_of({text}).empty()) << text;
}

TEST(Via, ALongListEnds) {
  const std::string own = *mirror_name();
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "1.1 " + own + ",";
  EXPECT_EQ(mirrors_of({text, text}).size(), kMostMirrors + 1);
}

}  // namespace
}  // namespace slipway::distribution
