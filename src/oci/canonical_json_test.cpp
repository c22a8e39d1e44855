#include "oci/canonical_json.hpp"

#include <gtest/gtest.h>

#include "oci/digest.hpp"

namespace slipway::oci {
namespace {

std::string written(std::string_view text) {
  JsonWriter json;
  json.value(text);
  return json.take();
}

// Expected texts here are what Go 1.26's json.Marshal answered.
TEST(JsonWriter, EscapesAsGoDoes) {
  EXPECT_EQ(written(""), R"("")");
  EXPECT_EQ(written("<a href=\"x\">&</a>\\"), R"("\u003ca href=\"x\"\u003e\u0026\u003c/a\u003e\\")");
  EXPECT_EQ(written("\b\f\n\r\t\v"), R"("\b\f\n\r\t\u000b")");
  EXPECT_EQ(written(std::string("\0\x01\x1f\x7f", 4)), "\"\\u0000\\u0001\\u001f\x7f\"");
  EXPECT_EQ(written("é€😀\u2028\u2029\ufffd"), "\"é€😀\\u2028\\u2029\ufffd\"");
  EXPECT_EQ(written("a\xff\xfe"), R"("a\ufffd\ufffd")");
  EXPECT_EQ(written("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");            // a surrogate
  EXPECT_EQ(written("\xf4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");  // above U+10FFFF
  EXPECT_EQ(written("\xc0\x80\xe2\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");  // overlong; cut off
}

// 2,000 strings of pseudo-random bytes; the digest is of what Go made of the same strings.
TEST(JsonWriter, WritesRandomBytesAsGoDoes) {
  std::uint32_t state = 1;
  Hasher hash;
  for (std::size_t n = 0; n < 2000; ++n) {
    std::string text(n % 40, '\0');
    for (char& c : text) {
      state = state * 1664525U + 1013904223U;
      c = static_cast<char>(state >> 24);
    }
    hash.update(written(text));
  }
  EXPECT_EQ(hash.finish().hex(), "13245d521d549c0dd03ef4bc52a4fb574d6edee1f49371912c08aec00ac7d125");
}

TEST(JsonWriter, KeepsTheOrderOfTheCallsAndSortsMaps) {
  JsonWriter json;
  json.begin_object();
  json.member("z", std::int64_t{-1});
  json.member("a", true);
  json.member("list", std::vector<std::string>{"x", "y"});
  json.member("map", std::map<std::string, std::string>{{"b", "2"}, {"a", "1"}, {"\xc3\xa9", "3"}, {"B", "0"}});
  json.key("nested");
  json.begin_array();
  json.begin_object();
  json.end_object();
  json.value(INT64_MAX);
  json.null();
  json.begin_array();
  json.end_array();
  json.end_array();
  json.member("<", "text");
  json.key("raw");
  json.raw("{\"n\":1}");
  json.end_object();
  EXPECT_EQ(json.take(), R"({"z":-1,"a":true,"list":["x","y"],"map":{"B":"0","a":"1","b":"2","é":"3"},)"
                         R"("nested":[{},9223372036854775807,null,[]],"\u003c":"text","raw":{"n":1}})");
}

TEST(JsonWriter, NonemptyIsOmitempty) {
  JsonWriter json;
  json.begin_object();
  json.nonempty("a", std::string());
  json.nonempty("b", 0);
  json.nonempty("c", false);
  json.nonempty("d", std::vector<std::string>{});
  json.nonempty("e", std::map<std::string, std::string>{});
  json.nonempty_set("f", {});
  json.nonempty("g", std::vector<std::string>{""});
  json.nonempty_set("h", {"53/udp", "80/tcp"});
  json.end_object();
  EXPECT_EQ(json.take(), R"({"g":[""],"h":{"53/udp":{},"80/tcp":{}}})");
  json.value("again");
  EXPECT_EQ(json.take(), "\"again\"");
}

}  // namespace
}  // namespace slipway::oci
