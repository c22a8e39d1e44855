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
  EXPECT_LE(shown.text.size(), StepOutput::kTail);
  EXPECT_GT(shown.text.size(), StepOutput::kTail - 20);
  EXPECT_THAT(shown.text, testing::StartsWith("line "));
  EXPECT_THAT(shown.text, testing::EndsWith("line 9999\n"));
  shown.text.clear();
  output.show_tail();
  EXPECT_EQ(shown.text, "");
}

TEST(StepOutput, SizesAreWrittenAsBuildKitDoes) {
  EXPECT_EQ(binary_size(2 << 20), "2MiB");
  EXPECT_EQ(binary_size(1536), "1.5KiB");
  EXPECT_EQ(binary_size(100), "100B");
  EXPECT_EQ(binary_size(std::int64_t{3} << 30), "3GiB");
}

}  // namespace
}  // namespace slipway::build
