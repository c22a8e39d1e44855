// The nearest older record of a step, on a real store; and what is kept of a build, read back from good and bad bytes.
#include "build/past_builds.hpp"

#include <gtest/gtest.h>

#include <random>

#include "sys/file.hpp"

namespace slipway::build {
namespace {

std::string value(const std::string& text) { return value_of(oci::Digest::of(text)); }

StepAccount step(const std::string& text, std::uint64_t place, const std::string& key, std::string stage = "0") {
  return {.name = "[" + std::to_string(place) + "/9] " + text,
          .stage = std::move(stage),
          .place = place,
          .kind = "exec",
          .text = value(text),
          .key = oci::Digest::of(key),
          .ended = StepAccount::Ended::kRan,
          .reason = {.kind = "new", .name = "n", .text = "t", .mount = "m", .follows = "f"}};
}

Ingredient argument(const std::string& name, const std::string& to) {
  return {.what = What::kArgument, .name = name, .value = value(to), .via = "v", .from = "f", .listing = {}};
}

struct PastBuildsTest : testing::Test {
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-past-builds-test-");
  store::Store store = *store::Store::open(dir.path() + "/root", {});
  int count = 0;

  /// Every step is made from its key's text, cut at commas: "A=1,B=2".
  void note(const std::string& project, const std::vector<std::pair<StepAccount, std::string>>& steps) {
    BuildAccount build{.project = value(project), .steps = {}};
    std::vector<store::BuildInput> inputs;
    for (const auto& [each, arguments] : steps) {
      build.steps.push_back(each);
      std::vector<Ingredient> ingredients;
      for (char c : arguments) ingredients.push_back(argument(std::to_string(ingredients.size()), std::string(1, c)));
      inputs.push_back({each.key, encode(ingredients), {}});
    }
    std::vector<oci::Digest> needs;
    for (const auto& input : inputs) needs.push_back(input.key);
    const store::BuildNote note{.identity = oci::Digest::of(std::to_string(++count)),
                                .manifest = {},
                                .config = {},
                                .document = build.encode(),
                                .made = 0};
    ASSERT_TRUE(store.note_build("s", note, needs, inputs));
  }

  /// The name of the nearest, or "".
  std::string nearest(const std::string& project, const StepAccount& now, const std::string& arguments,
                      const std::set<std::string>& texts = {}) {
    PastBuilds past(store, "s");
    EXPECT_TRUE(past.load());
    std::vector<Ingredient> ingredients;
    for (char c : arguments) ingredients.push_back(argument(std::to_string(ingredients.size()), std::string(1, c)));
    const std::string of = value(project);
    const StepAccount* old = past.nearest({.project = of,
                                           .stage = now.stage,
                                           .kind = now.kind,
                                           .text = now.text,
                                           .place = now.place,
                                           .key = now.key,
                                           .ingredients = ingredients},
                                          texts);
    return old == nullptr ? "" : old->key.short_hex();
  }
  static std::string key(const std::string& text) { return oci::Digest::of(text).short_hex(); }
};

TEST_F(PastBuildsTest, AnEqualKeyIsNearerThanAnything) {
  note("p", {{step("RUN other", 7, "same", "x"), "a"}});
  note("p", {{step("RUN make", 2, "k"), "a"}});
  EXPECT_EQ(nearest("p", step("RUN make", 2, "same"), "a"), key("same"));
}

TEST_F(PastBuildsTest, TextAndPlaceInTheSameProject) {
  note("p", {{step("RUN make", 2, "old make"), "a"}, {step("RUN test", 3, "old test"), "a"}});
  EXPECT_EQ(nearest("p", step("RUN make", 3, "new"), "b"), key("old make")) << "the text moved";
  EXPECT_EQ(nearest("p", step("RUN make -j", 2, "new"), "b"), key("old make")) << "the text changed";
  EXPECT_EQ(nearest("p", step("RUN nothing of the kind", 5, "new"), "b"), "");
  // Two steps were moved down by a new one: what stood in its place is somebody else.
  const std::set<std::string> texts = {text_in_stage("0", value("RUN make")), text_in_stage("0", value("RUN new"))};
  EXPECT_EQ(nearest("p", step("RUN new", 2, "new"), "b", texts), "");
  StepAccount copy = step("RUN make", 2, "new");
  copy.kind = "copy";
  EXPECT_EQ(nearest("p", copy, "a"), "") << "another kind";
}

TEST_F(PastBuildsTest, MostInCommonThenTheNewest) {
  note("p", {{step("RUN make", 2, "first"), "abc"}});
  note("p", {{step("RUN make", 2, "second"), "abd"}});
  note("p", {{step("RUN make", 2, "third"), "xbd"}});
  EXPECT_EQ(nearest("p", step("RUN make", 2, "new"), "abe"), key("second")) << "of two equals the newer";
  EXPECT_EQ(nearest("p", step("RUN make", 2, "new"), "xbe"), key("third"));
  EXPECT_EQ(nearest("p", step("RUN make", 2, "new"), "abc"), key("first"));
}

TEST_F(PastBuildsTest, AnotherProjectOnlyWhereMostOfItIsTheSame) {
  note("p", {{step("RUN make", 2, "mine"), "a"}});
  note("q", {{step("RUN make", 2, "theirs"), "b"}});
  const auto text = [](const std::string& words) { return text_in_stage("0", step(words, 2, "").text); };
  const std::set<std::string> same = {text("RUN make")}, other = {text("RUN test"), text("RUN made")};
  EXPECT_EQ(nearest("p", step("RUN make", 2, "new"), "b", same), key("mine"));
  EXPECT_EQ(nearest("r", step("RUN make", 2, "new"), "b", same), key("theirs"));
  EXPECT_EQ(nearest("r", step("RUN made", 2, "new"), "b", same), "");
  EXPECT_EQ(nearest("r", step("RUN make", 2, "new"), "b", other), "") << "a project that shares one line";
}

TEST_F(PastBuildsTest, GarbledRowsAreAsGoodAsNone) {
  const oci::Digest bad = oci::Digest::of("bad");
  ASSERT_TRUE(store.note_build(
      "s", {.identity = oci::Digest::of("b"), .manifest = {}, .config = {}, .document = "\x01garbage", .made = 0},
      {bad}, {{bad, "garbage", {}}}));
  note("p", {{step("RUN make", 2, "old"), "a"}});
  EXPECT_EQ(nearest("p", step("RUN make", 2, "new"), "b"), key("old"));
  PastBuilds past(store, "s");
  ASSERT_TRUE(past.load());
  EXPECT_TRUE(past.ingredients(bad).empty());
  EXPECT_FALSE(past.files(bad));
  EXPECT_FALSE(past.files(oci::Digest::of("none")));
}

TEST(BuildAccountTest, WhatWasWrittenIsReadBack) {
  StepAccount failed = step("RUN x", 3, "k2", "build");
  failed.ended = StepAccount::Ended::kFailed;
  failed.name = std::string(5000, 'n');
  const BuildAccount build{.project = value("p"), .steps = {step("COPY a /", 2, "k"), failed}};
  const auto read = BuildAccount::decode(build.encode());
  ASSERT_TRUE(read);
  ASSERT_EQ(read->steps.size(), 2u);
  EXPECT_EQ(read->project, build.project);
  EXPECT_EQ(read->steps[0].name, "[2/9] COPY a /");
  EXPECT_EQ(read->steps[0].reason.follows, "f");
  EXPECT_EQ(read->steps[1].ended, StepAccount::Ended::kFailed);
  EXPECT_EQ(read->steps[1].key, oci::Digest::of("k2"));
  EXPECT_EQ(read->steps[1].name.size(), 1000u);
  EXPECT_EQ(read->encode(), BuildAccount::decode(read->encode())->encode());

  Ingredient listed = argument("A", "1");
  listed.listing = oci::Digest::of("content");
  const auto ingredients = decode_ingredients(encode({listed, argument("B", "2")}));
  ASSERT_TRUE(ingredients);
  EXPECT_EQ((*ingredients)[0].listing, listed.listing);
  EXPECT_EQ((*ingredients)[1].name, "B");
  EXPECT_EQ((*ingredients)[1].via, "v");
}

TEST(BuildAccountTest, AShownNameIsTakenApart) {
  const struct {
    const char* name;
    const char* stage;
    std::uint64_t place;
    const char* text;
  } cases[] = {
      {"[2/5] RUN make", "", 2, "RUN make"},
      {"[build 2/5] RUN a] b", "build", 2, "RUN a] b"},
      {"[linux/amd64->arm64 stage-1 12/12] COPY a /", "linux/amd64->arm64 stage-1", 12, "COPY a /"},
      {"[context a/b] load c", "", 0, "[context a/b] load c"},
      {"FROM base", "", 0, "FROM base"},
      {"[]", "", 0, "[]"},
      {"[x", "", 0, "[x"},
      {"", "", 0, ""},
  };
  for (const auto& each : cases) {
    const ShownName name = take_apart(each.name);
    EXPECT_EQ(name.stage, each.stage) << each.name;
    EXPECT_EQ(name.place, each.place) << each.name;
    EXPECT_EQ(name.text, each.text) << each.name;
  }
}

TEST(BuildAccountTest, HostileBytesAreRefusedOrHarmless) {
  const std::string build =
      BuildAccount{.project = value("p"), .steps = {step("RUN a", 1, "k"), step("RUN b", 2, "l")}}.encode();
  const std::string parts = encode({argument("A", "1"), argument("B", "2")});
  for (std::size_t size = 0; size < build.size(); ++size) EXPECT_FALSE(BuildAccount::decode(build.substr(0, size)));
  for (std::size_t size = 0; size < parts.size(); ++size) EXPECT_FALSE(decode_ingredients(parts.substr(0, size)));
  EXPECT_FALSE(BuildAccount::decode(build + "x"));
  EXPECT_FALSE(decode_ingredients(parts + "x"));
  EXPECT_FALSE(BuildAccount::decode(std::string("\x01\x00\xff\xff\xff\xff\x0f", 7))) << "so many steps";
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string bad = build, worse = parts;
    for (int k = 0; k < 3; ++k) {
      bad[random() % bad.size()] = static_cast<char>(random());
      worse[random() % worse.size()] = static_cast<char>(random());
    }
    (void)BuildAccount::decode(bad);
    (void)decode_ingredients(worse);
  }
}

TEST(DefinitionTest, PartsAreWhatTheKeyIsMadeOf) {
  const auto define = [](Definition::Keep keep, const std::string& version) {
    Definition definition("exec", keep);
    definition.add("argv", "2");
    definition.part(What::kShell).add("argv", "/bin/sh").part(What::kCommand).add("argv", "make");
    definition.no_part().add("env", "1").part(What::kArgument, "VERSION").add("env", version);
    definition.remark(What::kSources, {"a"});
    definition.files(oci::Digest::of("c")).add("content", oci::Digest::of("c").text());
    return definition;
  };
  EXPECT_EQ(define(Definition::Keep::kKey, "1").finish(), define(Definition::Keep::kParts, "1").finish());
  EXPECT_NE(define(Definition::Keep::kKey, "1").finish(), define(Definition::Keep::kKey, "2").finish());
  const auto one = define(Definition::Keep::kParts, "1").parts(), two = define(Definition::Keep::kParts, "2").parts();
  ASSERT_EQ(one.size(), 5u);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i].value == two[i].value, i != 2) << i;
  EXPECT_EQ(one[2].name, "VERSION");
  EXPECT_EQ(one[2].value.size(), Ingredient::kValueBytes);
  EXPECT_EQ(one[4].listing, oci::Digest::of("c"));
  EXPECT_TRUE(define(Definition::Keep::kKey, "1").parts().empty());
}

}  // namespace
}  // namespace slipway::build
