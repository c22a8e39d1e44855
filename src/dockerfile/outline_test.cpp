#include "dockerfile/outline.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::dockerfile {
namespace {

using testing::ElementsAre;

File parsed(std::string_view text) { return parse(text, "Dockerfile").value(); }

std::vector<std::string> args_of(const Outline& outline) {
  std::vector<std::string> out;
  for (const auto& arg : outline.args)
    out.push_back(fmt::format("{}: {}={} {}", arg.range.first_line, arg.name, arg.value, arg.description));
  return out;
}
std::vector<std::string> needs_of(const std::vector<OutlineNeed>& needs) {
  std::vector<std::string> out;
  for (const auto& need : needs)
    out.push_back(fmt::format("{}: {}{}", need.range.first_line, need.id, need.required ? " required" : ""));
  return out;
}

TEST(Outline, ArgsOfTheTargetItsBasesAndWhatItCopiesFrom) {
  const File file = parsed(
      "ARG inherited=box\n"
      "ARG inherited2=box2\n"
      "ARG unused=abc${inherited2}\n"
      "# sfx is a suffix\n"
      "ARG sfx=\"usy${inherited}\"\n"
      "FROM b${sfx} AS first\n"
      "# not a description of it\n"
      "ARG FOO=123\n"
      "# BAR is a number\n"
      "ARG BAR=456\n"
      "FROM alpine${unused} AS second\n"
      "ARG BAZ\n"
      "FROM scratch AS third\n"
      "ARG ABC=a\n"
      "ARG later=$ABC$BAR\n"
      "# target defines build target\n"
      "FROM third AS target\n"
      "COPY --from=first /etc/passwd /\n"
      "FROM second\n");
  const CheckFacts facts{.build_args = {{"BAR", "678"}}, .target = "target"};
  const Outline out = outline(file, facts).value();
  EXPECT_EQ(out.name, "target");
  EXPECT_EQ(out.description, "defines build target");
  EXPECT_THAT(args_of(out), ElementsAre("1: inherited=box ", "5: sfx=usybox is a suffix", "8: FOO=123 ",
                                        "10: BAR=678 is a number", "14: ABC=a ", "15: later=a "));
}

TEST(Outline, LastDefinitionOfANameWithAllThatItNeeds) {
  const File file = parsed(
      "ARG FOO=123\nARG ABC=abc\nARG DEF=def\nARG FOO=${FOO}${ABC}\nARG BAR=${FOO}456\nARG FOO=${FOO}456${BAR}\n"
      "FROM scratch\nARG FOO\nARG INFOO=123\nARG INBAR=${INFOO}456\nARG INFOO=${INFOO}456${INBAR}\n");
  EXPECT_THAT(args_of(outline(file, {}).value()),
              ElementsAre("2: ABC=abc ", "5: BAR=123abc456 ", "6: FOO=123abc456123abc456 ", "10: INBAR=123456 ",
                          "11: INFOO=123456123456 "));
}

TEST(Outline, SecretsAndSsh) {
  const File file = parsed(
      "FROM busybox AS first\n"
      "RUN --mount=type=secret,target=/etc/passwd,required=true --mount=type=ssh true\n"
      "FROM alpine AS second\n"
      "RUN --mount=type=secret,id=unused --mount=type=ssh,id=ssh2 true\n"
      "FROM scratch AS third\n"
      "ARG BAR\n"
      "RUN --mount=type=secret,id=second${BAR} true\n"
      "FROM third AS target\n"
      "COPY --from=first /foo /\n"
      "RUN --mount=type=ssh,id=ssh3,required true\n"
      "FROM second\n");
  const CheckFacts facts{.build_args = {{"BAR", "678"}}, .target = "target"};
  const Outline out = outline(file, facts).value();
  EXPECT_THAT(needs_of(out.secrets), ElementsAre("2: passwd required", "7: second678"));
  EXPECT_THAT(needs_of(out.ssh), ElementsAre("2: default", "10: ssh3 required"));
}

TEST(Outline, ErrorsOfTheText) {
  const auto out = outline(parsed("FROM scratch\nARG A=${B:?needed}\n"), {});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().what(), "failed to process \"${B:?needed}\": B: needed");
  EXPECT_EQ(out.error().range()->first_line, 2);
}

TEST(Targets, WithDescriptionAndDefault) {
  const auto list = targets(
      parsed("# build compiles\nFROM alpine AS Build\nFROM --platform=$BUILDPLATFORM busybox as second\nFROM alpine\n"
             "# other words\n# binary is it\nFROM second AS binary\n"));
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].name, "build");
  EXPECT_EQ(list[0].description, "compiles");
  EXPECT_EQ(list[0].base, "alpine");
  EXPECT_FALSE(list[0].is_default);
  EXPECT_EQ(list[1].platform, "$BUILDPLATFORM");
  EXPECT_EQ(list[2].name, "");
  EXPECT_EQ(list[3].description, "is it");
  EXPECT_TRUE(list[3].is_default);
  EXPECT_EQ(list[3].range.first_line, 7);
}

}  // namespace
}  // namespace slipway::dockerfile
