#include "cli/value.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

TEST(Value, JsonKeepsOrderAndWritesAsGoDoes) {
  const Value value =
      Value::Object{{"b", "x<y>&"}, {"a", Value::Array{1, true, Value(), "\"\\"}}, {"e", Value::Object{}}};
  EXPECT_EQ(value.json(), R"({"b":"x<y>&","a":[1,true,null,"\"\\"],"e":{}})");
}

TEST(Value, IndentedLooksLikeDockerInspect) {
  const Value value =
      Value::Array{Value::Object{{"Id", "x"}, {"Tags", Value::Array{"a", "b"}}, {"None", Value::Array{}}}};
  EXPECT_EQ(value.json_indented(4),
            "[\n"
            "    {\n"
            "        \"Id\": \"x\",\n"
            "        \"Tags\": [\n"
            "            \"a\",\n"
            "            \"b\"\n"
            "        ],\n"
            "        \"None\": []\n"
            "    }\n"
            "]");
}

TEST(Value, ForeignTextCanNotActOnTheTerminal) {
  const Value value = std::string("a\x1b[2Jb\xc2\x9b\x63\x7f\n\xff");
  EXPECT_EQ(value.json(), "\"a\\u001b[2Jb\\u009bc\\u007f\\n\\ufffd\"");
  EXPECT_EQ(value.text(), "a\\x1b[2Jb\\u{9b}c\\x7f\n\\xff");
}

TEST(Value, TextIsWhatGoPrints) {
  EXPECT_EQ(Value().text(), "<no value>");
  EXPECT_EQ(Value(Value::Array{"a", 2}).text(), "[a 2]");
  EXPECT_EQ(Value(Value::Object{{"k", "v"}, {"n", 1}}).text(), "map[k:v n:1]");
}

}  // namespace
}  // namespace slipway::cli
