// The limit of a step's output: exact, told once, and the end of it is not lost when the step fails.
#include "build/step_output.hpp"

#include <gmock/gmock.h>

namespace slipway::build {
namespace {

struct Shown final : progress::Sink {
  void on(const progress::Event& event) override {
    if (const auto* log = std::get_if<progress::Log>(&event)) text += log->bytes;
  }
  std::string text;
};

TEST(StepOutput, WithoutALimitEverythingIsShown) {
  Shown shown;
  StepOutput output(shown, 1, 0);
  output.write(1, std::string(5 << 20, 'x'));
  EXPECT_EQ(shown.text.size(), 5U << 20);
  output.show_tail();
  EXPECT_EQ(shown.text.size(), 5U << 20);
}

TEST(StepOutput, PastTheLimitOneLineSaysSo) {
  Shown shown;
  StepOutput output(shown, 1, 10);
  output.write(1, "12345\n");
  output.write(2, "abcd");  // both streams count together; just full is not over
  EXPECT_EQ(shown.text, "12345\nabcd");
  output.write(2, "efg\n");
  output.write(1, "more\n");
  EXPECT_EQ(shown.text, "12345\nabcd\n[output clipped, log limit 10B reached]\n");
}

TEST(StepOutput, WhatFitsOfTheLastPieceIsShown) {
  Shown shown;
  StepOutput output(shown, 1, 2048);
  output.write(1, std::string(3000, 'x'));
  EXPECT_EQ(shown.text, std::string(2048, 'x') + "\n[output clipped, log limit 2KiB reached]\n");
}

TEST(StepOutput, TheTailIsWholeLinesOfTheEnd) {
  Shown shown;
  StepOutput output(shown, 1, 1);
  output.write(1, "x");
  for (int line = 0; line < 10'000; ++line) output.write(1, "line " + std::to_string(line) + "\n");
  shown.text.clear();
  output.show_tail();
  constexpr std::string_view kHead = "[the end of what was clipped]\n";
  EXPECT_LE(shown.text.size(), kHead.size() + StepOutput::kTail);
  EXPECT_GT(shown.text.size(), kHead.size() + StepOutput::kTail - 20);
  EXPECT_THAT(shown.text, testing::StartsWith(std::string(kHead) + "line "));
  EXPECT_THAT(shown.text, testing::EndsWith("line 9999\n"));
  shown.text.clear();
  output.show_tail();
  EXPECT_EQ(shown.text, "");
}

TEST(StepOutput, SecretsAreMaskedAlsoInPieces) {
  Shown shown;
  StepOutput output(shown, 1, 0, {"s3cr3t-token\n", "abc", "-----BEGIN-----\nline-of-the-key\n}\n"});
  output.write(1, "a s3cr3t-token, twice: s3cr3t-tokens3cr3t-token; abc }\n");
  EXPECT_EQ(shown.text, "a ***, twice: ******; abc }\n");
  shown.text.clear();
  for (const char c : std::string("x s3cr3t-s3cr3t-token y line-of-the-key z")) output.write(1, std::string(1, c));
  output.write(2, "s3cr");
  output.end();
  EXPECT_EQ(shown.text, "x s3cr3t-*** y *** zs3cr");
  shown.text.clear();
  StepOutput nested(shown, 1, 0, {"token", "token-and-more", "abab"});
  for (const auto* piece : {"token", "-and", "-more token", "-and-less abab", "ab"}) nested.write(1, piece);
  nested.end();
  EXPECT_EQ(shown.text, "*** ***-and-less ***ab");
  shown.text.clear();
  output.write(1, "s3cr3");
  EXPECT_EQ(shown.text, "");  // held back: it may become one
  output.write(1, "t-table");
  EXPECT_EQ(shown.text, "s3cr3t-table");
}

TEST(StepOutput, SizesAreWrittenAsBuildKitDoes) {
  EXPECT_EQ(binary_size(2 << 20), "2MiB");
  EXPECT_EQ(binary_size(1536), "1.5KiB");
  EXPECT_EQ(binary_size(100), "100B");
  EXPECT_EQ(binary_size(std::int64_t{3} << 30), "3GiB");
}

}  // namespace
}  // namespace slipway::build
