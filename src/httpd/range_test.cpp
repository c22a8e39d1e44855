#include "httpd/range.hpp"

#include <gtest/gtest.h>

namespace slipway::httpd {
namespace {

struct Case {
  const char* header;
  std::int64_t size;
  ByteRange::Kind kind;
  std::int64_t offset, length;
};

TEST(Range, AsRfc9110Says) {
  using enum ByteRange::Kind;
  const Case cases[] = {
      {"bytes=0-99", 1000, kPart, 0, 100},
      {"bytes=100-", 1000, kPart, 100, 900},
      {"bytes=-100", 1000, kPart, 900, 100},
      {"bytes=-5000", 1000, kPart, 0, 1000},
      {"bytes=0-0", 1000, kPart, 0, 1},
      {"bytes=999-999", 1000, kPart, 999, 1},
      {"bytes=900-5000", 1000, kPart, 900, 100},
      {"BYTES = 1-2", 1000, kPart, 1, 2},
      {"bytes=0-99999999999999999999999999", 1000, kPart, 0, 1000},
      {"bytes=1000-", 1000, kUnsatisfiable, 0, 0},
      {"bytes=99999999999999999999-", 1000, kUnsatisfiable, 0, 0},
      {"bytes=-0", 1000, kUnsatisfiable, 0, 0},
      {"bytes=0-0", 0, kUnsatisfiable, 0, 0},
      {"bytes=-1", 0, kUnsatisfiable, 0, 0},
      {"bytes=500-0", 1000, kUnsatisfiable, 0, 0},
  };
  for (const Case& one : cases) {
    const ByteRange range = parse_range(one.header, one.size);
    EXPECT_EQ(range.kind, one.kind) << one.header;
    EXPECT_EQ(range.offset, one.offset) << one.header;
    EXPECT_EQ(range.length, one.length) << one.header;
  }
}

TEST(Range, WhatIsNoneIsIgnored) {
  for (const char* header : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "lines=0-1", "bytes=1",
                             "bytes=+1-2", "bytes=0x1-2", "=0-1", "bytes=1-2-3"}) {
    const ByteRange range = parse_range(header, 1000);
    EXPECT_EQ(range.kind, ByteRange::Kind::kWhole) << header;
    EXPECT_EQ(range.length, 1000) << header;
  }
}

}  // namespace
}  // namespace slipway::httpd
