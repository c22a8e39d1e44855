#include "base/text.hpp"

#include <gtest/gtest.h>

#include "base/cancel.hpp"
#include "base/time.hpp"

namespace slipway {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(printable("\xc2\x9b"), "\\u{9b}");
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\u{202e}");
  EXPECT_EQ(printable("käse"), "käse");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
}

TEST(Quoted, EscapesQuotes) { EXPECT_EQ(quoted("a\"b\\"), "\"a\\\"b\\\\\""); }

TEST(GoQuoted, IsStrconvQuote) { EXPECT_EQ(go_quoted("a\tb\x01\xff ü\""), "\"a\\tb\\x01\\xff ü\\\"\""); }

TEST(ParseSize, IsStrict) {
  EXPECT_EQ(*parse_size("9223372036854775807"), INT64_MAX);
  for (const auto* bad : {"", "-1", "+1", " 1", "1x", "9223372036854775808"}) EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(HumanSize, AsDocker) {
  EXPECT_EQ(human_size(0), "0B");
  EXPECT_EQ(human_size(999), "999B");
  EXPECT_EQ(human_size(187'400'000), "187MB");
  EXPECT_EQ(human_size(1'240'000'000), "1.24GB");
  EXPECT_EQ(*parse_human_size("64m"), 64 << 20);
  EXPECT_EQ(*parse_human_size("1.5 GiB"), 3LL << 29);
  EXPECT_EQ(*parse_human_size("100"), 100);
  EXPECT_FALSE(parse_human_size("1.2.3"));
  EXPECT_FALSE(parse_human_size("10 apples"));
}

TEST(Nearest, FindsATypo) {
  EXPECT_EQ(nearest("FROOM", {"FROM", "RUN"}), "FROM");
  EXPECT_EQ(nearest("xyzzy", {"FROM", "RUN"}), "");
}

TEST(Rfc3339, RoundTrips) {
  const auto time = parse_rfc3339("2023-11-14T22:13:20.5+01:00");
  ASSERT_TRUE(time);
  EXPECT_EQ(rfc3339(*time), "2023-11-14T21:13:20.5Z");
  EXPECT_FALSE(parse_rfc3339("2023-13-14T22:13:20Z"));
}

TEST(Cancel, KeepsTheFirstReason) {
  CancelSource source;
  EXPECT_TRUE(source.cancel().check());
  source.fire("timed out");
  source.fire("later");
  EXPECT_EQ(source.cancel().check().error().what(), "timed out");
  EXPECT_TRUE(source.cancel().wait_for(0));
}

TEST(Cancel, FollowsItsParent) {
  CancelSource parent;
  CancelSource child(parent.cancel());
  EXPECT_FALSE(child.cancel().wait_for(0));
  parent.fire("interrupted by the user");
  EXPECT_TRUE(child.cancel().fired());
  EXPECT_TRUE(child.cancel().wait_for(-1));
  EXPECT_EQ(child.cancel().check().error().what(), "interrupted by the user");
  CancelSource lonely(Cancel{});
  lonely.fire("own");
  EXPECT_EQ(lonely.cancel().check().error().what(), "own");
}

}  // namespace
}  // namespace slipway
