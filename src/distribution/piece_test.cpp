#include "distribution/piece.hpp"

#include <gtest/gtest.h>

namespace slipway::distribution {
namespace {

TEST(Piece, Parse) {
  for (const char* text : {"0-1023", "bytes 0-1023/*", "bytes 0-1023/4096", "0-1023/4096"}) {
    const auto piece = parse_piece(text);
    ASSERT_TRUE(piece) << text;
    EXPECT_EQ(piece->begin, 0) << text;
    EXPECT_EQ(piece->end, 1024) << text;
    EXPECT_EQ(piece->size(), 1024) << text;
  }
  EXPECT_EQ(parse_piece("7-7")->size(), 1);
  EXPECT_EQ(parse_piece("0-9223372036854775806")->size(), 9223372036854775807);
}

TEST(Piece, Refused) {
  for (const char* text : {"", "-", "0-", "-1", "1", "2-1", "a-b", "0-1-2", "bytes=0-1", " 0-1", "0-1 ", "+0-1", "*/5",
                           "0-9223372036854775807", "9223372036854775807-9223372036854775807", "0-9223372036854775808"})
    EXPECT_FALSE(parse_piece(text)) << text;
}

}  // namespace
}  // namespace slipway::distribution
