#include "cli/build_call.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

using Method = Call::Method;
using testing::HasSubstr;

Result<Call> call(const char* text, bool check = false) {
  Arguments arguments;
  if (text != nullptr) arguments.give("call", text);
  if (check) arguments.give("check", "true");
  return parse_call(arguments);
}

TEST(BuildCall, ReadsMethodAndFields) {
  EXPECT_EQ(call(nullptr)->method, Method::kBuild);
  EXPECT_EQ(call("build")->method, Method::kBuild);
  EXPECT_EQ(call("lint")->method, Method::kCheck);
  EXPECT_EQ(call(nullptr, true)->method, Method::kCheck);
  EXPECT_FALSE(call("outline")->json);
  EXPECT_TRUE(call("targets,format=json")->json);
  EXPECT_TRUE(call("format=json", true)->json);
  EXPECT_TRUE(call("check,ignorestatus=true")->ignore_status);
  for (const char* wrong : {"nothing", "check,outline", "check,format=xml", "check,ignorestatus=maybe", "\"check"})
    EXPECT_EQ(call(wrong).error().code(), Code::kUsage) << wrong;
  EXPECT_EQ(call("outline", true).error().code(), Code::kUsage);
}

TEST(BuildCall, NothingForeignReachesTheTerminalAsItIs) {
  const auto file = dockerfile::parse("FROM scratch\nWORKDIR \"a\x1b[31m\"\n", "Dock\x1b[31mer");
  ASSERT_TRUE(file);
  const auto checked = dockerfile::check(*file, {}, {});
  ASSERT_EQ(checked.findings.size(), 1U);
  for (const auto& text : {findings_text(*file, checked, true), check_text(*file, checked), check_json(*file, checked)})
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
  dockerfile::Outline outline{.name = "n\x1b", .description = "d\x1b"};
  outline.args.push_back({"A\x1b", "v\x1b\n", "d\x1b", {}});
  outline.secrets.push_back({.id = "s\x1b"});
  EXPECT_EQ(outline_text(outline).find('\x1b'), std::string::npos);
  EXPECT_EQ(targets_text({{.name = "n\x1b", .description = "d\x1b"}}).find('\x1b'), std::string::npos);
}

TEST(BuildCall, OneRangeForWhatIsVeryLong) {
  std::string text = "FROM scratch\nCOPY <<EOF $missing\n";
  for (int i = 0; i < 5000; ++i) text += "x\n";
  const auto file = dockerfile::parse(text + "EOF\n", "Dockerfile");
  const std::string json = check_json(*file, dockerfile::check(*file, {}, {}));
  EXPECT_THAT(json, HasSubstr("\"line\": 5003"));
  EXPECT_THAT(json, testing::Not(HasSubstr("\"line\": 3\n")));
}

TEST(BuildCall, SaysHowManyFindingsAreNotShown) {
  const auto file = dockerfile::parse("FROM scratch as a\n", "Dockerfile");
  auto checked = dockerfile::check(*file, {}, {});
  checked.left_out = 4;
  EXPECT_THAT(findings_text(*file, checked, false), HasSubstr(" 5 warnings found"));
  EXPECT_THAT(findings_text(*file, checked, false), HasSubstr(" - 4 more are not shown\n"));
  EXPECT_THAT(check_text(*file, checked), HasSubstr("5 warnings have been found!"));
}

}  // namespace
}  // namespace slipway::cli
