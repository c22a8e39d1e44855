#include "dockerfile/check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace slipway::dockerfile {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

PlatformName platform(std::string_view text) {
  const auto slash = text.find('/');
  return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1)), std::string(text)};
}

CheckFacts facts() {
  CheckFacts facts{.platform_args = {{"BUILDPLATFORM", "linux/amd64"},
                                     {"TARGETPLATFORM", "linux/amd64"},
                                     {"TARGETOS", "linux"},
                                     {"TARGETARCH", "amd64"}},
                   .target_platform = platform("linux/amd64"),
                   .all_stages = true};
  facts.base_image = [](const std::string& image, const std::string&) -> std::optional<BaseImage> {
    if (image == "absent") return std::nullopt;
    BaseImage base{.env = {"PATH=/bin", "BASE_VAR=1"}, .platform = platform("linux/amd64")};
    if (image == "armed") base.platform = platform("linux/arm64");
    if (image == "shelled") base.has_shell = true;
    if (image == "triggering") base.on_build = {"ENV a b", "COPY $nothing /"};
    return base;
  };
  facts.parse_platform = [](std::string_view text) -> std::optional<PlatformName> {
    if (!text.contains('/')) return std::nullopt;
    return platform(text);
  };
  facts.is_image_name = [](std::string_view text) {
    return !text.empty() && !text.ends_with(':') &&
           text.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ$") == std::string::npos;
  };
  return facts;
}

Checked checked(std::string_view text, const CheckFacts& facts) {
  const auto file = parse(text, "Dockerfile");
  EXPECT_TRUE(file) << text << (file ? "" : file.error().what());
  if (!file) return {};
  const auto options = check_options(*file, facts.build_args);
  EXPECT_TRUE(options) << (options ? "" : options.error().what());
  return check(*file, facts, options.value_or(CheckOptions{}));
}

std::vector<std::string> warnings(std::string_view text, const CheckFacts& with = facts()) {
  std::vector<std::string> out;
  const Checked result = checked(text, with);
  EXPECT_FALSE(result.error) << text << (result.error ? result.error->what() : "");
  for (const auto& finding : result.findings) out.push_back(warning_text(finding));
  return out;
}

CheckFacts with_build_args(CheckFacts::Pairs pairs) {
  CheckFacts out = facts();
  out.build_args = std::move(pairs);
  return out;
}

// --- the rules, in the order of the table; each with text that breaks it and text that keeps it

TEST(CheckRules, StageNameCasing) {
  EXPECT_THAT(warnings("FROM scratch AS BadName\n"),
              ElementsAre("StageNameCasing: Stage name 'BadName' should be lowercase (line 1)"));
  EXPECT_THAT(warnings("FROM scratch AS good-name\n"), IsEmpty());
}

TEST(CheckRules, FromAsCasing) {
  EXPECT_THAT(warnings("FROM scratch as a\n"),
              ElementsAre("FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"));
  EXPECT_THAT(warnings("from scratch AS a\n"),
              ElementsAre("FromAsCasing: 'AS' and 'from' keywords' casing do not match (line 1)"));
  EXPECT_THAT(warnings("FROM \\\n  scratch \\\n  As a\n"),
              ElementsAre("FromAsCasing: 'As' and 'FROM' keywords' casing do not match (line 1)"));
  EXPECT_THAT(warnings("from scratch as a\n"), IsEmpty());
  EXPECT_THAT(warnings("FROM --platform=$BUILDPLATFORM scratch AS a\n"), IsEmpty());
}

TEST(CheckRules, NoEmptyContinuation) {
  EXPECT_THAT(warnings("FROM scratch\nCOPY Dockerfile \\\n\n.\n"),
              ElementsAre("NoEmptyContinuation: Empty continuation line (line 4)"));
  // the bodies of heredocs do not count
  EXPECT_THAT(warnings("FROM scratch\nRUN \\\n\n <<EOF\na\nEOF\n"),
              ElementsAre("NoEmptyContinuation: Empty continuation line (line 4)"));
  EXPECT_THAT(warnings("FROM scratch\nCOPY Dockerfile \\\n# a comment\n.\n"), IsEmpty());
}

TEST(CheckRules, ConsistentInstructionCasing) {
  EXPECT_THAT(warnings("FROM scratch\ncopy a /a\nCOPY b /b\n"),
              ElementsAre("ConsistentInstructionCasing: Command 'copy' should match the case of the command majority "
                          "(uppercase) (line 2)"));
  EXPECT_THAT(warnings("from scratch\nCOPY a /a\ncopy b /b\n"),
              ElementsAre("ConsistentInstructionCasing: Command 'COPY' should match the case of the command majority "
                          "(lowercase) (line 2)"));
  EXPECT_THAT(warnings("frOM scratch\nfrom scratch\n"),
              ElementsAre("ConsistentInstructionCasing: Command 'frOM' should match the case of the command majority "
                          "(lowercase) (line 1)"));
  EXPECT_THAT(warnings("from scratch\ncopy a /a\n"), IsEmpty());
  EXPECT_THAT(warnings("arg A=1\nFROM scratch\n"), IsEmpty());  // before the first FROM nothing is asked
}

TEST(CheckRules, DuplicateStageName) {
  EXPECT_THAT(warnings("FROM scratch AS b\nFROM scratch AS b\n"),
              ElementsAre("DuplicateStageName: Duplicate stage name \"b\", stage names should be unique (line 2)"));
  EXPECT_THAT(warnings("FROM scratch AS b1\nFROM scratch AS b2\n"), IsEmpty());
}

TEST(CheckRules, ReservedStageName) {
  EXPECT_THAT(
      warnings("FROM scratch AS scratch\nFROM base AS context\n"),
      ElementsAre("ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\" (line 1)",
                  "ReservedStageName: Stage name should not use the same name as reserved stage \"context\" (line 2)"));
  EXPECT_THAT(warnings("FROM scratch AS a\n"), IsEmpty());
}

TEST(CheckRules, JsonArgsRecommended) {
  EXPECT_THAT(warnings("FROM scratch\nCMD run\nENTRYPOINT run\n"),
              ElementsAre("JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior "
                          "related to OS signals (line 2)",
                          "JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended "
                          "behavior related to OS signals (line 3)"));
  EXPECT_THAT(warnings("FROM scratch\nCMD [\"run\"]\nENTRYPOINT [\"run\"]\n"), IsEmpty());
  // who chose a shell wants it; the choice is inherited
  EXPECT_THAT(warnings("FROM scratch AS a\nSHELL [\"/bin/bash\", \"-c\"]\nFROM a\nCMD run\n"), IsEmpty());
  EXPECT_THAT(warnings("FROM shelled\nCMD run\n"), IsEmpty());
}

TEST(CheckRules, MaintainerDeprecated) {
  EXPECT_THAT(
      warnings("FROM scratch\nMAINTAINER me\n"),
      ElementsAre("MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)"));
  EXPECT_THAT(warnings("FROM scratch\nLABEL org.opencontainers.image.authors=me\n"), IsEmpty());
}

TEST(CheckRules, UndefinedArgInFrom) {
  EXPECT_THAT(warnings("FROM base:1$tag\n"),
              ElementsAre("UndefinedArgInFrom: FROM argument 'tag' is not declared (line 1)"));
  EXPECT_THAT(
      warnings("FROM --platform=$BUILDPLATFROM/a scratch\n"),
      ElementsAre("UndefinedArgInFrom: FROM argument 'BUILDPLATFROM' is not declared (did you mean BUILDPLATFORM?) "
                  "(line 1)"));
  EXPECT_THAT(warnings("ARG tag=1\nFROM base:$tag\n"), IsEmpty());
  EXPECT_THAT(warnings("ARG tag\nFROM base:1$tag\n"), IsEmpty());
}

TEST(CheckRules, WorkdirRelativePath) {
  EXPECT_THAT(warnings("FROM scratch\nWORKDIR app\nWORKDIR src\n"),
              ElementsAre("WorkdirRelativePath: Relative workdir \"app\" can have unexpected results if the base image "
                          "changes (line 2)"));
  EXPECT_THAT(warnings("FROM scratch\nWORKDIR /app\nWORKDIR src\n"), IsEmpty());
  EXPECT_THAT(warnings("FROM scratch AS a\nWORKDIR /app\nFROM a\nWORKDIR src\n"), IsEmpty());
}

TEST(CheckRules, UndefinedVar) {
  EXPECT_THAT(warnings("FROM scratch\nCOPY $foo .\n"),
              ElementsAre("UndefinedVar: Usage of undefined variable '$foo' (line 2)"));
  EXPECT_THAT(warnings("FROM base\nENV MYPATH=$PAHT\n"),
              ElementsAre("UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?) (line 2)"));
  EXPECT_THAT(warnings("FROM scratch\nARG a=${b:-1}\nCOPY <<E /x\n$c\nE\nRUN --mount=type=cache,target=/$d true\n"),
              ElementsAre("UndefinedVar: Usage of undefined variable '$b' (line 2)",
                          "UndefinedVar: Usage of undefined variable '$c' (line 3)",
                          "UndefinedVar: Usage of undefined variable '$d' (line 6)"));
  // declared, set, inherited from the image or the stage below, or given to the shell
  EXPECT_THAT(warnings("FROM base AS a\nARG foo\nENV bar=1\nCOPY $foo$bar$BASE_VAR$PATH .\nRUN echo $what\n"
                       "FROM a\nCOPY $bar$foo .\n"),
              IsEmpty());
  // a sibling's variables are not seen
  EXPECT_THAT(warnings("FROM scratch AS a\nENV bar=1\nFROM scratch\nCOPY $bar .\n"),
              ElementsAre("UndefinedVar: Usage of undefined variable '$bar' (line 4)"));
}

TEST(CheckRules, UndefinedVarIsSilentWhereTheImageIsNotAtHand) {
  const Checked result = checked("FROM absent AS a\nCOPY $foo .\nFROM a\nCOPY $foo .\n", facts());
  EXPECT_THAT(result.findings, IsEmpty());
  EXPECT_THAT(result.unknown_bases, ElementsAre("absent"));
}

TEST(CheckRules, MultipleInstructionsDisallowed) {
  // the line that is without effect is the one to remove
  EXPECT_THAT(
      warnings("FROM scratch\nCMD [\"a\"]\nENTRYPOINT [\"a\"]\nHEALTHCHECK NONE\nCMD [\"b\"]\nENTRYPOINT [\"b\"]\n"
               "HEALTHCHECK NONE\n"),
      ElementsAre("MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage "
                  "because only the last one will be used (line 2)",
                  "MultipleInstructionsDisallowed: Multiple ENTRYPOINT instructions should not be used in the same "
                  "stage because only the last one will be used (line 3)",
                  "MultipleInstructionsDisallowed: Multiple HEALTHCHECK instructions should not be used in the same "
                  "stage because only the last one will be used (line 4)"));
  EXPECT_THAT(warnings("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n"), IsEmpty());
}

TEST(CheckRules, LegacyKeyValueFormat) {
  EXPECT_THAT(warnings("FROM scratch\nENV name value\nLABEL name value\n"),
              ElementsAre("LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" "
                          "format (line 2)",
                          "LegacyKeyValueFormat: \"LABEL key=value\" should be used instead of legacy \"LABEL key "
                          "value\" format (line 3)"));
  EXPECT_THAT(warnings("FROM scratch\nENV name=value\nLABEL name=value\n"), IsEmpty());
}

TEST(CheckRules, InvalidBaseImagePlatform) {
  EXPECT_THAT(warnings("FROM armed\n"),
              ElementsAre("InvalidBaseImagePlatform: Base image armed was pulled with platform \"linux/arm64\", "
                          "expected \"linux/amd64\" for current build (line 1)"));
  EXPECT_THAT(warnings("FROM --platform=linux/arm64 armed AS arm64\n"), IsEmpty());
  EXPECT_THAT(warnings("FROM base\n"), IsEmpty());
}

TEST(CheckRules, RedundantTargetPlatform) {
  EXPECT_THAT(warnings("FROM --platform=${TARGETPLATFORM} scratch\n"),
              ElementsAre("RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM} in FROM is "
                          "redundant as this is the default behavior (line 1)"));
  EXPECT_THAT(warnings("FROM --platform=$BUILDPLATFORM scratch\n"), IsEmpty());
  EXPECT_THAT(warnings("FROM --platform=$TARGETOS/$TARGETARCH scratch\n"), IsEmpty());
}

TEST(CheckRules, SecretsUsedInArgOrEnv) {
  EXPECT_THAT(
      warnings("FROM scratch\nARG SECRET_PASSPHRASE\nENV password=bar sunflower=1\nENV PUBLIC_KEY=\nARG token_file\n"
               "ARG tokens monkey\n"),
      ElementsAre("SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "
                  "\"SECRET_PASSPHRASE\") (line 2)",
                  "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"password\") "
                  "(line 3)"));
  EXPECT_THAT(warnings("FROM scratch\nRUN --mount=type=secret,id=token true\n"), IsEmpty());
}

TEST(CheckRules, InvalidDefaultArgInFrom) {
  EXPECT_THAT(warnings("ARG VERSION\nFROM base:$VERSION\n", with_build_args({{"VERSION", "latest"}})),
              ElementsAre("InvalidDefaultArgInFrom: Default value for ARG base:$VERSION results in empty or invalid "
                          "base image name (line 2)"));
  EXPECT_THAT(warnings("ARG IMAGE\nFROM $IMAGE\n", with_build_args({{"IMAGE", "base"}})),
              ElementsAre("InvalidDefaultArgInFrom: Default value for ARG $IMAGE results in empty or invalid base "
                          "image name (line 2)"));
  EXPECT_THAT(warnings("ARG VERSION=latest\nFROM base:$VERSION\n", with_build_args({{"VERSION", "1"}})), IsEmpty());
  EXPECT_THAT(warnings("ARG SUFFIX\nFROM base:stable${SUFFIX}\n"), IsEmpty());
}

TEST(CheckRules, FromPlatformFlagConstDisallowed) {
  EXPECT_THAT(warnings("FROM --platform=linux/amd64 base\n"),
              ElementsAre("FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "
                          "\"linux/amd64\" (line 1)"));
  EXPECT_THAT(warnings("FROM --platform=linux/amd64 base AS my_amd64_stage\n"), IsEmpty());
  EXPECT_THAT(warnings("ARG p=linux/amd64\nFROM --platform=$p base\n"), IsEmpty());
}

TEST(CheckRules, CopyIgnoredFile) {
  CheckFacts with = facts();
  with.ignored = [](const std::string& path) { return path.starts_with("tmp") || path == "x/y"; };
  EXPECT_THAT(
      warnings("FROM scratch\nCOPY ./tmp/a b /c/\nADD /x/y http://x/tmp /\n", with),
      ElementsAre("CopyIgnoredFile: Attempting to Copy file \"tmp/a\" that is excluded by .dockerignore (line 2)",
                  "CopyIgnoredFile: Attempting to Add file \"/x/y\" that is excluded by .dockerignore (line 3)"));
  EXPECT_THAT(warnings("FROM scratch AS a\nFROM scratch\nCOPY --from=a tmp/a /\nCOPY . /\n", with), IsEmpty());
}

TEST(CheckRules, InvalidDefinitionDescription) {
  const std::string on = "# check=experimental=InvalidDefinitionDescription\n";
  const std::string bad =
      "# bar this is the bar\nARG foo=bar\n# BasE is the base\nFROM scratch AS base\n# bad\nARG a=1 b=2\n";
  EXPECT_THAT(warnings(on + bad),
              ElementsAre("InvalidDefinitionDescription: Comment for ARG should follow the format: `# foo "
                          "<description>` (line 3)",
                          "InvalidDefinitionDescription: Comment for FROM should follow the format: `# base "
                          "<description>` (line 5)",
                          "InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> "
                          "<description>` (line 7)"));
  EXPECT_THAT(warnings(bad), IsEmpty());  // experimental: only who asks for it is told
  EXPECT_THAT(warnings(on + "# foo this is the foo\nARG foo=bar\n\n# base is it\nFROM scratch AS base\n# remark\n\n"
                            "ARG x\n# remark\n#\nARG y\n# check=skip=UndefinedVar\nARG z\n"),
              IsEmpty());
}

TEST(CheckRules, ExposeProtoCasing) {
  EXPECT_THAT(
      warnings("FROM scratch\nEXPOSE 80/TcP 8080/udp 90-91/UDP\n"),
      ElementsAre("ExposeProtoCasing: Defined protocol '80/TcP' in EXPOSE instruction should be lowercase (line 2)",
                  "ExposeProtoCasing: Defined protocol '90-91/UDP' in EXPOSE instruction should be lowercase "
                  "(line 2)"));
  EXPECT_THAT(warnings("FROM scratch\nEXPOSE 80/tcp 81\n"), IsEmpty());
}

TEST(CheckRules, ExposeInvalidFormat) {
  EXPECT_THAT(warnings("FROM scratch\nEXPOSE 127.0.0.1:80:80 [::1]:8080:8080 5000:5000 8000\n"),
              ElementsAre(HasSubstr("found '127.0.0.1:80:80' (line 2)"), HasSubstr("found '5000:5000' (line 2)"),
                          HasSubstr("ExposeInvalidFormat: EXPOSE instruction should not define an IP address or "
                                    "host-port mapping, found '[::1]:8080:8080' (line 2)")));
  EXPECT_THAT(warnings("FROM scratch\nEXPOSE 8000\n"), IsEmpty());
}

TEST(CheckRules, EachHasAPageAndTheIndexNamesIt) {
  const auto read = [](const std::string& path) {
    std::ifstream file(path);
    return (std::ostringstream() << file.rdbuf()).str();
  };
  const std::string root = SLIPWAY_SOURCE_DIR;
  const std::string index = read(root + "/docs/checks/README.md");
  for (const auto& rule : check_rules()) {
    EXPECT_EQ(&rule_of(rule.id), &rule);
    const std::string page = read(root + "/" + page_of(rule));
    EXPECT_THAT(page, testing::StartsWith("# " + std::string(rule.name) + "\n")) << page_of(rule);
    EXPECT_THAT(page, HasSubstr("## Bad")) << page_of(rule);
    EXPECT_THAT(page, HasSubstr("## Good")) << page_of(rule);
    EXPECT_THAT(index, HasSubstr("(" + std::string(rule.name) + ".md)"));
  }
}

// --- which findings count

TEST(Check, SkipsByDirectiveArgumentAndComment) {
  const std::string bad = "FROM scratch as base\ncopy Dockerfile .\n";
  EXPECT_THAT(warnings("#check=skip=all\n" + bad), IsEmpty());
  EXPECT_THAT(warnings("#check=skip=ConsistentInstructionCasing, FromAsCasing\n" + bad), IsEmpty());
  EXPECT_THAT(warnings("#check=skip=ConsistentInstructionCasing\n" + bad), ElementsAre(HasSubstr("FromAsCasing")));
  // the build-arg takes the directive's place
  EXPECT_THAT(warnings("#check=skip=all\n" + bad,
                       with_build_args({{"BUILDKIT_DOCKERFILE_CHECK", "skip=ConsistentInstructionCasing"}})),
              ElementsAre(HasSubstr("FromAsCasing")));
  // a comment is for its instruction; behind a blank it may say why
  EXPECT_THAT(warnings("FROM scratch\n# check=skip=LegacyKeyValueFormat // older tools read it\nENV a b\nENV c d\n"),
              ElementsAre(HasSubstr("(line 4)")));
  EXPECT_THAT(warnings("FROM scratch\n# why\n# check=skip=all\nENV password b\n"), IsEmpty());
  EXPECT_THAT(warnings("FROM scratch\n# check=skip=all\n\nENV a b\n"), ElementsAre(HasSubstr("LegacyKeyValue")));
  EXPECT_THAT(warnings("# check=skip=StageNameCasing,FromAsCasing\n\nFROM scratch as A\n"), IsEmpty());
  // of two that clash, either may carry the comment
  EXPECT_THAT(warnings("FROM scratch\nCMD [\"a\"]\n# check=skip=MultipleInstructionsDisallowed\nCMD [\"b\"]\n"),
              IsEmpty());
  EXPECT_THAT(warnings("FROM scratch\n# check=skip=MultipleInstructionsDisallowed\nCMD [\"a\"]\nCMD [\"b\"]\n"),
              IsEmpty());
}

TEST(Check, ErrorOptionMakesAViolation) {
  const auto violation_of = [](std::string_view text) {
    const auto file = parse(text, "Dockerfile").value();
    const auto options = check_options(file, {}).value();
    const auto error = violation(check(file, facts(), options), options);
    return error ? error->what() : std::string();
  };
  EXPECT_EQ(violation_of("# check=error=true\nFROM scratch as B\n"),
            "lint violation found for rules: FromAsCasing, StageNameCasing");
  EXPECT_EQ(violation_of("# check=error=true\nFROM scratch AS b\n"), "");
  EXPECT_EQ(violation_of("FROM scratch as B\n"), "");
  EXPECT_EQ(violation_of("# check=skip=all;error=true\nFROM scratch as B\n"), "");
}

TEST(Check, WrongOptionsAreTold) {
  const auto error_of = [](std::string_view text, const CheckFacts::Pairs& args) {
    const auto options = check_options(parse(text, "Dockerfile").value(), args);
    return options ? Error(Code::kInternal, "(no error)") : options.error();
  };
  const Error wrong = error_of("# check=skop=all\nFROM scratch\n", {});
  EXPECT_EQ(wrong.what(), "failed to parse check options: invalid check option \"skop\"");
  EXPECT_EQ(wrong.range()->first_line, 1);
  EXPECT_THAT(error_of("FROM scratch\n", {{"BUILDKIT_DOCKERFILE_CHECK", "error=perhaps"}}).what(),
              HasSubstr("failed to parse build-arg BUILDKIT_DOCKERFILE_CHECK: failed to parse check option"));
}

TEST(Check, LooksOnlyAtWhatIsBuilt) {
  const std::string text = "FROM scratch AS first\nCOPY $foo .\nFROM scratch AS second\nCOPY $bar .\n";
  CheckFacts with = facts();
  EXPECT_EQ(warnings(text, with).size(), 2U);
  with.all_stages = false;
  EXPECT_THAT(warnings(text, with), ElementsAre(HasSubstr("$bar")));
  with.target = "First";
  EXPECT_THAT(warnings(text, with), ElementsAre(HasSubstr("$foo")));
  EXPECT_THAT(warnings("FROM scratch AS a\nCOPY $x /\nFROM scratch AS b\nRUN --mount=from=a true\nFROM scratch AS c\n"
                       "COPY $y /\nFROM scratch\nCOPY --from=b / /\n",
                       CheckFacts{.platform_args = {}}),
              ElementsAre(HasSubstr("$x")));
}

TEST(Check, NamedContextsStandInForStagesAndImages) {
  CheckFacts with = facts();
  with.is_named_context = [](std::string_view name) { return name == "given"; };
  EXPECT_THAT(warnings("FROM scratch AS given\nCOPY $a /\nFROM given\nCOPY $b /\nCOPY --from=given / /\n", with),
              IsEmpty());
}

TEST(Check, TriggersCountInTheStageThatTheyRunIn) {
  EXPECT_THAT(warnings("FROM triggering\n"), ElementsAre("LegacyKeyValueFormat: \"ENV key=value\" should be used "
                                                         "instead of legacy \"ENV key value\" format (line 1)",
                                                         HasSubstr("'$nothing' (line 1)")));
  EXPECT_THAT(warnings("FROM scratch AS a\nONBUILD COPY $later /\nFROM a\nFROM a AS b\nFROM b\n"),
              ElementsAre(HasSubstr("(line 3)"), HasSubstr("(line 4)")));
}

TEST(Check, TellsWhyTheFileCanNotBeBuilt) {
  const auto error_of = [](std::string_view text, std::string target = "") {
    CheckFacts with = facts();
    with.target = std::move(target);
    const auto error = checked(text, with).error;
    return error ? fmt::format("{}: {}", error->range() ? error->range()->first_line : 0, error->what()) : "";
  };
  EXPECT_EQ(error_of("ARG X\nFROM ${X}\n"), "2: base name (${X}) should not be blank");
  EXPECT_EQ(error_of("FROM --platform=$no scratch\n"), "1: empty platform value from expression $no");
  EXPECT_EQ(error_of("FROM --platform=no scratch\n"), "1: failed to parse platform no");
  EXPECT_EQ(error_of("FROM scratch\nSTOPSIGNAL NOPE\nCOPY ${x:?no} /\n"), "2: invalid signal: NOPE");
  EXPECT_EQ(error_of("FROM scratch\nEXPOSE 99999\n"), "2: invalid containerPort: 99999");
  EXPECT_EQ(error_of("FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b\n"),
            "2: cannot copy from stage \"b\", it needs to be defined before current stage \"a\"");
  EXPECT_EQ(error_of("FROM scratch AS build\n", "biuld"),
            "0: target stage \"biuld\" could not be found (did you mean build?)");
}

// --- files that are made to hurt

TEST(Check, ManyStagesEachWithMoreVariables) {
  std::string text = "FROM scratch AS s0\n";
  for (int i = 1; i < 10'000; ++i) text += fmt::format("FROM s{} AS s{}\nENV v{}=1\nCOPY $v1 $nope /\n", i - 1, i, i);
  const Checked result = checked(text, facts());
  EXPECT_EQ(result.findings.size() + result.left_out, 9'999U);  // quadratic would not end in the time limit of a test
}

TEST(Check, FindingsAndValuesAreLimited) {
  std::string text = "FROM scratch\n";
  for (int i = 0; i < 20'000; ++i) text += "ENV a b\n";
  const Checked result = checked(text, facts());
  EXPECT_EQ(result.findings.size(), kMostFindings);
  EXPECT_EQ(result.left_out, 19'000U);

  text = "FROM scratch\nENV a=0123456789\n";
  for (int i = 0; i < 60; ++i) text += "ENV a=$a$a$a$a\n";
  EXPECT_FALSE(checked(text, facts()).error);
}

}  // namespace
}  // namespace slipway::dockerfile
