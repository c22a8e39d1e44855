#include "oci/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/canonical_json.hpp"

namespace slipway::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json parsed(std::string_view text) { return Json::parse(text).value(); }

std::string error_of(std::string_view text, const JsonLimits& limits = {}) {
  const auto json = Json::parse(text, limits);
  return json ? "parsed" : json.error().message();
}

// The example of the header.
Result<std::int64_t> token_lifetime(std::string_view body, std::string& token) {
  const Json document = TRY(Json::parse(body, {.bytes = 1 << 20}));
  token = TRY(document.need_string("token"));
  std::int64_t seconds = 60;
  if (const auto expires = document.find("expires_in")) seconds = TRY(expires->as_int63());
  for (const Json scope : TRY(document.list("scopes"))) token += TRY(scope.as_string());
  for (const Json label : TRY(document.map("labels")))
    token += std::string(label.key()) + std::string(TRY(label.as_string()));
  return seconds;
}

TEST(Json, ReadsAnAnswerInAFewLines) {
  std::string token;
  EXPECT_EQ(token_lifetime(R"({"token":"t","expires_in":300,"scopes":["a","b"],"labels":{"k":"v"}})", token), 300);
  EXPECT_EQ(token, "tabkv");
  EXPECT_EQ(token_lifetime(R"({"token":"t","expires_in":null,"scopes":null})", token), 60);
  EXPECT_EQ(token_lifetime(R"({"expires_in":1})", token).error().message(), "token is missing");
  EXPECT_EQ(token_lifetime(R"({"token":null})", token).error().message(), "token is missing");
  EXPECT_EQ(token_lifetime(R"({"token":7})", token).error().message(), "token is a number, not a string");
  EXPECT_EQ(token_lifetime(R"([])", token).error().message(), "the document is an array, not an object");
}

TEST(Json, KindsAndValues) {
  const Json json = parsed(R"( {"null":null,"yes":true,"no":false,"n":-5,"big":9223372036854775807,"real":1.5,
                               "text":"a\u0000\"\ud83d\ude00é","list":[1,[2],{"x":3}],"empty":{}} )");
  EXPECT_EQ(json.kind(), Json::Kind::kObject);
  EXPECT_EQ(json.size(), 9U);
  EXPECT_FALSE(json.find("null"));
  EXPECT_TRUE(json.find("yes")->as_bool().value());
  EXPECT_FALSE(json.find("no")->as_bool().value());
  EXPECT_EQ(json.find("n")->as_int64().value(), -5);
  EXPECT_EQ(json.find("big")->as_int63().value(), INT64_MAX);
  EXPECT_EQ(json.find("real")->as_double().value(), 1.5);
  EXPECT_EQ(json.find("text")->as_string().value(), std::string_view("a\0\"😀é", 9));
  EXPECT_EQ(json.find("empty")->size(), 0U);
  EXPECT_TRUE(json.find("empty")->children().empty());
  std::vector<std::string> places;
  for (const Json element : json.find("list")->children()) places.push_back(element.path());
  EXPECT_THAT(places, ElementsAre("list[0]", "list[1]", "list[2]"));
  EXPECT_TRUE(parsed("null").is_null());
  EXPECT_EQ(parsed("\"x\"").as_string().value(), "x");
}

TEST(Json, NumbersAreNeverClamped) {
  for (const char* text : {"1e30", "1.0", "1e2", "9223372036854775808", "18446744073709551615", "18446744073709551616",
                           "-9223372036854775809", "0.5", "1E+2"}) {
    EXPECT_FALSE(parsed(text).as_int63()) << text;
    EXPECT_FALSE(parsed(text).as_int64()) << text;
    EXPECT_TRUE(parsed(text).as_double()) << text;
  }
  EXPECT_FALSE(parsed("-1").as_int63());
  EXPECT_EQ(parsed("-0").as_int63().value(), 0);
  EXPECT_EQ(parsed("-9223372036854775808").as_int64().value(), INT64_MIN);
  EXPECT_EQ(parsed(R"({"layers":[{"size":1e30}]})").find("layers")->children().size(), 1U);
  const Json json = parsed(R"({"a b":[0,{"size":-3}]})");
  const Json::Range list = json.list("a b").value();
  for (const Json element : list) {
    if (!element.is_object()) continue;
    EXPECT_EQ(element.need_int63("size").error().message(), "\"a b\"[1].size is -3; it can not be negative");
  }
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\":1,}",
                           "{a:1}",
                           "'x'",
                           "01",
                           "+1",
                           ".5",
                           "1.",
                           "NaN",
                           "nul",
                           "[1] 2",
                           "{} {}",
                           "// c\n{}",
                           "\"\t\"",
                           "\"\\x\"",
                           "\"\\ud800\"",
                           "\"\xff\"",
                           "\xef\xbb\xbf{}",
                           "[\"a\xc0\x80\"]",
                           "1e999"}) {
    const auto json = Json::parse(text);
    ASSERT_FALSE(json) << text;
    EXPECT_EQ(json.error().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_FALSE(Json::parse(std::string_view("{}\0", 3)));
  EXPECT_EQ(error_of("{\"a\":tru\x1b[0m}"), "the document is not valid JSON at byte 9");
}

TEST(Json, RefusesTheSameNameTwice) {
  EXPECT_EQ(error_of(R"({"a":1,"b":2,"a":1})"), "the document has the name \"a\" twice in one object");
  EXPECT_EQ(error_of(R"([{"x":{"a":1,"\u0061":1}}])"), "the document has the name \"a\" twice in one object");
  EXPECT_EQ(error_of(R"([{"a":1},{"a":1}])"), "parsed");
  EXPECT_EQ(error_of(R"({"a":{"a":{"a":1}}})"), "parsed");
  EXPECT_EQ(error_of(R"({"":1,"":1})"), "the document has the name \"\" twice in one object");
}

TEST(Json, RefusesLookalikes) {
  const auto check = [](std::string_view text) { return parsed(text).refuse_lookalikes({"mediaType", "size", "k"}); };
  EXPECT_TRUE(check(R"({"mediaType":1,"size":2,"other":3,"sizes":4})"));
  EXPECT_FALSE(check(R"({"MediaType":1})"));
  EXPECT_FALSE(check(R"({"mediaType":1,"mediatype":1})"));
  EXPECT_FALSE(check("{\"\u017fize\":1}"));  // Go folds the long s
  EXPECT_FALSE(check("{\"\u212a\":1}"));     // and the Kelvin sign
  EXPECT_EQ(check(R"({"SIZE":1})").error().message(),
            "SIZE is ambiguous: some programs read it as size, others do not read it");
}

TEST(Json, LimitsBytesDepthAndValues) {
  EXPECT_EQ(error_of("[1,2]", {.bytes = 4}), "the document has 5 bytes; at most 4 are read");
  EXPECT_EQ(error_of("[[[]]]", {.depth = 2}), "the document is nested deeper than 2 levels");
  EXPECT_EQ(error_of("[[[]]]", {.depth = 3}), "parsed");
  EXPECT_EQ(error_of("[1,2,3]", {.values = 3}), "the document holds more than 3 values");
  EXPECT_EQ(error_of("[1,2]", {.values = 3}), "parsed");
  EXPECT_EQ(error_of("1", {.values = 0}), "the document holds more than 0 values");
  const std::string deep(1 << 20, '[');
  EXPECT_EQ(Json::parse(deep).error().code(), Code::kResourceExhausted);
  std::string wide = "[0";
  for (int i = 0; i < 1 << 20; ++i) wide += ",0";
  EXPECT_EQ(Json::parse(wide + "]").error().code(), Code::kResourceExhausted);
}

TEST(Json, ErrorsNameThePlaceAndStayPrintable) {
  const Json json = parsed("{\"layers\":[{},{\"x\\u001b\":{\"deep\":[0,1,true]}}]}");
  const Json::Range layers = json.list("layers").value();
  const Json second = *++layers.begin();
  const Json odd = *second.children().begin();
  EXPECT_EQ(odd.path(), "layers[1].\"x\\x1b\"");
  EXPECT_EQ(odd.find("deep")->as_strings().error().message(), "layers[1].\"x\\x1b\".deep[0] is a number, not a string");
  EXPECT_EQ(odd.list("deep")->size(), 3U);
  EXPECT_EQ(odd.map("deep").error().message(), "layers[1].\"x\\x1b\".deep is an array, not an object");
  EXPECT_EQ(odd.at("gone").error().message(), "layers[1].\"x\\x1b\".gone is missing");
  EXPECT_EQ(json.boolean("layers").error().message(), "layers is an array, not a boolean");
}

TEST(Json, AValueKeepsItsDocument) {
  std::optional<Json> inner;
  {
    std::string text = R"({"a":{"b":["some text that is longer than a small string"]}})";
    inner = parsed(text).find("a")->find("b");
    text.assign(text.size(), 'x');
  }
  EXPECT_THAT(inner->as_strings().value(), ElementsAre("some text that is longer than a small string"));
}

TEST(Json, ReadsWhatTheWriterWrote) {
  std::uint32_t state = 7;
  for (int round = 0; round < 500; ++round) {
    std::map<std::string, std::string> map;
    for (int i = 0; i < round % 9; ++i) {
      std::string text;
      for (int n = 0; n < round % 23; ++n) {
        state = state * 1664525U + 1013904223U;
        text += static_cast<char>(state >> 25);  // ASCII, controls among it
      }
      map.emplace(text, text + "é\u2028");
    }
    JsonWriter writer;
    writer.begin_object();
    writer.member("m", map);
    writer.end_object();
    const std::string text = writer.take();
    std::map<std::string, std::string> read;
    const Json json = parsed(text);
    const Json::Range members = json.map("m").value();
    for (const Json member : members) read.emplace(member.key(), member.as_string().value());
    ASSERT_EQ(read, map) << text;
  }
}

}  // namespace
}  // namespace slipway::oci
