#include "layer/pax.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::layer {
namespace {

using ::testing::ElementsAre;

Result<std::vector<std::string>> records(std::string_view text) {
  std::vector<std::string> out;
  TRY(for_each_pax_record(text, [&](std::string_view key, std::string_view value) -> Status {
    out.push_back(fmt::format("{}|{}", key, value));
    return {};
  }));
  return out;
}

TEST(PaxRecord, ReadsWhatItWrites) {
  const std::string text = pax_record("path", "a b=c\nd") +
                           pax_record("SCHILY.xattr.user.x", std::string("\0\xff", 2)) + pax_record("k", "");
  EXPECT_THAT(*records(text), ElementsAre("path|a b=c\nd", std::string("SCHILY.xattr.user.x|\0\xff", 22), "k|"));
}

TEST(PaxRecord, CountsItsOwnDigits) {
  EXPECT_EQ(pax_record("k", "v"), "6 k=v\n");
  EXPECT_EQ(pax_record("k", "12345"), "11 k=12345\n");  // 9 without the second digit of its length
  for (std::size_t size = 80; size < 110; ++size) {
    const std::string record = pax_record("key", std::string(size, 'v'));
    EXPECT_EQ(std::stoul(record), record.size());
  }
}

TEST(PaxRecord, RefusesMalformedOnes) {
  for (const char* text : {"x", "5", " 6 k=v\n", "5 k=v\n", "7 k=v\n", "6 k=v", "6 k_v\n", "6 =kv\n", "-6 k=v\n",
                           "0 k=v\n", "3 \n", "99999999999999999999 k=v\n", "9223372036854775807 k=v\n", "6 k=vx"})
    EXPECT_EQ(records(text).error().code(), Code::kInvalidArgument) << text;
  EXPECT_FALSE(records(std::string("8 k\0x=v\n", 8)));
}

TEST(PaxTime, RoundTrips) {
  for (const Timestamp time :
       {Timestamp{0, 0}, {1350244992, 23960108}, {-1, 0}, {-2, 500000000}, {-1, 999999999}, {1, 1}, {INT64_MAX, 0}})
    EXPECT_EQ(*parse_pax_time(pax_time(time)), time) << pax_time(time);
  EXPECT_EQ(pax_time({-2, 500000000}), "-1.5");
  EXPECT_EQ(pax_time({5, 120000000}), "5.12");
  EXPECT_EQ(*parse_pax_time("1.0000000019"), (Timestamp{1, 1}));
  EXPECT_EQ(*parse_pax_time("-0.25"), (Timestamp{-1, 750000000}));
  for (const char* text : {"", "x", "1.x", "1e3", "+1", "99999999999999999999", "-9223372036854775808.5"})
    EXPECT_FALSE(parse_pax_time(text)) << text;
}

TEST(Base64, DecodesWithAndWithoutPadding) {
  EXPECT_EQ(*decode_base64("aGVsbG8="), "hello");
  EXPECT_EQ(*decode_base64("aGVsbG8"), "hello");
  EXPECT_EQ(*decode_base64(""), "");
  EXPECT_EQ(*decode_base64("/+8="), "\xff\xef");
  EXPECT_FALSE(decode_base64("a"));
  EXPECT_FALSE(decode_base64("a*b="));
}

TEST(Percent, LeavesWhatIsNoCode) {
  EXPECT_EQ(decode_percent("user.a%3Db%"), "user.a=b%");
  EXPECT_EQ(decode_percent("%zz%4"), "%zz%4");
}

}  // namespace
}  // namespace slipway::layer
