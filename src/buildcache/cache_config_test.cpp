#include "buildcache/cache_config.hpp"

#include <gtest/gtest.h>

#include "buildcache/lookup.hpp"

namespace slipway::buildcache {
namespace {

oci::Digest digest(std::string_view text) { return oci::Digest::of(text); }
std::string quoted(std::string_view text) { return "\"" + digest(text).text() + "\""; }

std::optional<Code> code_of(std::string_view json) {
  const auto config = CacheConfig::parse(json);
  return config ? std::nullopt : std::optional(config.error().code());
}

TEST(CacheConfig, WhatWasBuiltIsRead) {
  ConfigBuilder builder;
  const auto base = builder.add(digest("base"));
  const auto step = builder.add(digest("step"), {{{"", base}}});
  const auto content = builder.add(digest("content"));
  const auto copy = builder.add(digest("copy"), {{{"", step}}, {{"", content}, {digest("/a").text(), base}}});
  builder.add_result(step, {digest("l0"), digest("l1")}, Timestamp{7, 0});
  builder.add_result(copy, {digest("l0"), digest("l1"), digest("l2")}, Timestamp{9, 5});
  EXPECT_EQ(builder.add(digest("base")), base) << "once";

  const Lookup lookup(CacheConfig::parse(builder.config()).value());
  EXPECT_EQ(lookup.config().layers().size(), 3u);
  const auto roots = lookup.roots(digest("base"));
  ASSERT_EQ(roots.size(), 1u);
  EXPECT_TRUE(lookup.roots(digest("step")).empty()) << "it has an input";
  const auto steps = lookup.matching(digest("step"), {{{"", roots[0]}}});
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_TRUE(lookup.matching(digest("step"), {{{digest("/").text(), roots[0]}}}).empty()) << "another selector";
  const auto contents = lookup.roots(digest("content"));
  const auto copies = lookup.matching(digest("copy"), {{{"", steps[0]}}, {{"", contents.at(0)}}});
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_EQ(lookup.matching(digest("copy"), {{{"", steps[0]}}, {{digest("/a").text(), roots[0]}}}), copies);
  EXPECT_TRUE(lookup.matching(digest("copy"), {{{"", steps[0]}}, {{"", roots[0]}}}).empty());
  const auto& result = lookup.record(copies[0]).results.at(0);
  EXPECT_EQ(result.created, (Timestamp{9, 5}));
  EXPECT_EQ(lookup.config().blobs(result).value(), (std::vector{digest("l0"), digest("l1"), digest("l2")}));
}

TEST(CacheConfig, TheOrderOfAddingDoesNotShow) {
  const auto write = [](bool turned) {
    ConfigBuilder builder;
    const auto a = builder.add(digest(turned ? "b" : "a")), b = builder.add(digest(turned ? "a" : "b"));
    const auto first = turned ? b : a, second = turned ? a : b;
    const auto both = builder.add(digest("both"), {{{"", first}, {"", second}}});
    builder.add_result(both, {digest("l")}, Timestamp{1, 0});
    builder.add_result(second, {digest("k")}, Timestamp{1, 0});
    return builder.config();
  };
  EXPECT_EQ(write(false), write(true));
}

TEST(CacheConfig, InlineNamesLayersByTheirPlace) {
  ConfigBuilder builder;
  const auto base = builder.add(digest("base"));
  const auto step = builder.add(digest("step"), {{{"", base}}});
  const auto other = builder.add(digest("other"), {{{"", base}}});
  const auto linked = builder.add(digest("linked"));
  builder.add_result(linked, {digest("l2")}, Timestamp{7, 0});
  builder.add_result(step, {digest("l0"), digest("l1")}, Timestamp{7, 0});
  builder.add_result(other, {digest("l0"), digest("x")}, Timestamp{7, 0});
  const std::vector image = {digest("l0"), digest("l1"), digest("l2")};
  const std::string records = builder.inline_records(image);
  const auto config = CacheConfig::parse_inline(records, image).value();
  EXPECT_EQ(config.records().size(), 3u) << "what is not in the image is left out: " << records;
  const Lookup lookup(config);
  const auto found = lookup.matching(digest("step"), {{{"", lookup.roots(digest("base")).at(0)}}});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(config.blobs(lookup.record(found[0]).results.at(0)).value(), (std::vector{digest("l0"), digest("l1")}));
  const auto& chain = lookup.record(lookup.roots(digest("linked")).at(0)).results.at(0);
  EXPECT_EQ(config.blobs(chain).value(), (std::vector{digest("l2")})) << "a layer that stands upon others there";
  EXPECT_EQ(builder.inline_records({digest("y")}), "") << "nothing of it is there";
}

TEST(CacheConfig, GoLeavesOutZeros) {
  const std::string json = "{\"layers\":[{\"blob\":" + quoted("a") + ",\"parent\":-1},{\"blob\":" + quoted("b") +
                           "}],\"records\":[{\"digest\":" + quoted("r") +
                           ",\"layers\":[{\"layer\":1,\"createdAt\":\"2026-11-30T15:53:32.869526558Z\"}],"
                           "\"chains\":[{\"layers\":[1,0],\"createdAt\":\"0001-01-01T00:00:00Z\"}]}]}";
  const auto config = CacheConfig::parse(json);
  ASSERT_TRUE(config) << config.error().what();
  EXPECT_EQ(config->layers()[1].parent, 0u);
  const auto& results = config->records()[0].results;
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(config->blobs(results[0]).value(), (std::vector{digest("a"), digest("b")}));
  EXPECT_EQ(config->blobs(results[1]).value(), (std::vector{digest("b"), digest("a")}));
}

TEST(CacheConfig, CirclesAreRefused) {
  EXPECT_EQ(code_of("{\"layers\":[{\"blob\":" + quoted("a") + "}]}"), Code::kInvalidArgument) << "its own parent";
  EXPECT_EQ(code_of("{\"layers\":[{\"blob\":" + quoted("a") + ",\"parent\":1},{\"blob\":" + quoted("b") + "}]}"),
            Code::kInvalidArgument);
  EXPECT_EQ(code_of("{\"records\":[{\"digest\":" + quoted("a") + ",\"inputs\":[[{\"link\":0}]]}]}"),
            Code::kInvalidArgument);
  EXPECT_EQ(code_of("{\"records\":[{\"digest\":" + quoted("a") +
                    ",\"inputs\":[[{\"link\":1}]]},{\"digest\":" + quoted("b") + ",\"inputs\":[[{\"link\":0}]]}]}"),
            Code::kInvalidArgument);
}

TEST(CacheConfig, AbsurdDocumentsAreRefused) {
  EXPECT_EQ(code_of("{}"), std::nullopt);
  for (const auto* json : {"[]", "null", "7", "{\"layers\":7}", "{\"records\":[7]}", "{\"records\":[{}]}",
                           "{\"records\":[{\"digest\":\"random:aa\"}]}", "{\"layers\":[{\"blob\":\"../../etc\"}]}"})
    EXPECT_EQ(code_of(json), Code::kInvalidArgument) << json;
  const std::string record = "{\"digest\":" + quoted("a");
  for (const auto* rest :
       {",\"inputs\":[[]]}", ",\"inputs\":[[{\"link\":9}]]}", ",\"inputs\":[[{\"link\":-1}]]}",
        ",\"layers\":[{\"layer\":0}]}", ",\"layers\":[{\"layer\":-1}]}", ",\"chains\":[{\"layers\":[3]}]}",
        ",\"inputs\":[[{\"link\":0,\"selector\":\"/x\"}]]}", ",\"layers\":[{\"layer\":9223372036854775807}]}"})
    EXPECT_EQ(code_of("{\"records\":[" + record + rest + "]}"), Code::kInvalidArgument) << rest;
  EXPECT_EQ(code_of("{\"layers\":[{\"blob\":" + quoted("a") + ",\"parent\":-2}]}"), Code::kInvalidArgument);
}

TEST(CacheConfig, LimitsComeBeforeWork) {
  EXPECT_EQ(code_of(std::string(kConfigLimit + 1, ' ')), Code::kResourceExhausted);
  std::string many = "{\"records\":[";
  for (std::size_t i = 0; i <= kRecordLimit; ++i) many += i == 0 ? "{\"digest\":" + quoted("a") + "}" : ",{}";
  EXPECT_EQ(code_of(many + "]}"), Code::kResourceExhausted);
  // a chain as long as the list of layers: refused when it is asked for, and never followed by recursion
  std::string layers = "{\"layers\":[{\"blob\":" + quoted("a") + ",\"parent\":-1}";
  for (std::size_t i = 1; i < kLayerLimit; ++i)
    layers += ",{\"blob\":" + quoted("a") + ",\"parent\":" + std::to_string(i - 1) + "}";
  const auto config =
      CacheConfig::parse(layers + "],\"records\":[{\"digest\":" + quoted("r") + ",\"layers\":[{\"layer\":9999}]}]}");
  ASSERT_TRUE(config) << config.error().what();
  const auto chain = config->blobs(config->records()[0].results[0]);
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace slipway::buildcache
