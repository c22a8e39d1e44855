#include "cli/why_report.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

using Ended = build::StepAccount::Ended;

build::StepAccount step(std::string name, Ended ended = Ended::kCached, build::StepReason reason = {}) {
  return {.name = std::move(name),
          .stage = "build",
          .place = 2,
          .kind = "exec",
          .text = "t",
          .key = oci::Digest::of("key"),
          .ended = ended,
          .reason = std::move(reason)};
}

TEST(WhyReport, PlacesOfStepsAreTold) {
  for (const char* text : {"2/5", "[2/5]", "build 2/5", "[build 2/5]", " [stage-1 10/12] "})
    EXPECT_TRUE(is_step_place(text)) << text;
  for (const char* text : {"", "2", "a/b", "team/app:1", "2/5b", "/5", "2/", "[2/5] RUN make"})
    EXPECT_FALSE(is_step_place(text)) << text;
}

TEST(WhyReport, AStepIsMeantByItsPlaceOrItsText) {
  const auto of_stage = step("[build 2/5] RUN npm ci --omit=dev");
  const auto alone = step("[2/5] COPY a/2/5 /");
  for (const char* text : {"2/5", "[2/5]", "build 2/5", "[BUILD 2/5]", "npm ci", "NPM", "RUN npm"})
    EXPECT_TRUE(means_step(text, of_stage)) << text;
  for (const char* text : {"12/5", "test 2/5", "1/5", "npm  ci", "yarn"})
    EXPECT_FALSE(means_step(text, of_stage)) << text;
  EXPECT_TRUE(means_step("2/5", alone));
  EXPECT_FALSE(means_step("build 2/5", alone));
}

TEST(WhyReport, AnImageIsMeantByTheBeginningOfItsDigests) {
  store::BuildNote build{.identity = oci::Digest::of("i"),
                         .manifest = oci::Digest::of("manifest"),
                         .config = oci::Digest::of("config"),
                         .document = "",
                         .made = 0};
  EXPECT_TRUE(means_image(oci::Digest::of("manifest").text(), build));
  EXPECT_TRUE(means_image(oci::Digest::of("config").short_hex(), build));
  EXPECT_FALSE(means_image(oci::Digest::of("manifest").hex().substr(0, 5), build));
  EXPECT_FALSE(means_image(oci::Digest::of("other").text(), build));
  build.manifest = build.config = std::nullopt;
  EXPECT_FALSE(means_image(oci::Digest::of("manifest").text(), build));
}

TEST(WhyReport, TextIsALineAStepAndSafe) {
  const std::vector<build::StepAccount> steps = {
      step("[1/3] FROM docker.io/library/base:latest"),
      step("[2/3] RUN " + std::string(100, 'x'), Ended::kRan,
           {.kind = "file", .name = "a", .text = "a\x1b[31m changed", .mount = {}, .follows = {}}),
      step("[3/3] RUN \x1b]0;t\x07", Ended::kFailed,
           {.kind = "step", .name = "n", .text = "follows from [2/3] RUN x", .mount = {}, .follows = "n"})};
  EXPECT_EQ(why_text(steps, Truncate::kYes),
            "[1/3] FROM docker.io/library/base:latest                       cached\n"
            "[2/3] RUN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…   ran: a\\x1b[31m changed\n"
            "[3/3] RUN \\x1b]0;t\\x07                                         failed: follows from [2/3] RUN x\n");
  EXPECT_TRUE(why_text(steps, Truncate::kNo).contains(std::string(100, 'x')));
}

TEST(WhyReport, TheDocumentHasStableNames) {
  const store::BuildNote build{.identity = oci::Digest::of("i"),
                               .manifest = oci::Digest::of("m"),
                               .config = std::nullopt,
                               .document = "",
                               .made = 1700000000};
  const std::vector<build::StepAccount> steps = {
      step("FROM base"),
      step("[build 2/5] RUN make", Ended::kStopped,
           {.kind = "file", .name = "x", .text = "x changed", .mount = "/src (bind)", .follows = "[1/2] COPY"})};
  EXPECT_EQ(why_document(build, {"docker.io/library/a:1"}, steps).json(),
            "{\"build\":{\"time\":\"2023-11-14T22:13:20Z\",\"done\":true,\"manifest\":\"" +
                oci::Digest::of("m").text() +
                "\",\"config\":null,\"names\":[\"docker.io/library/a:1\"]},\"steps\":["
                "{\"step\":\"FROM base\",\"stage\":\"build\",\"number\":2,\"instruction\":\"FROM base\","
                "\"result\":\"hit\",\"ended\":\"cached\",\"reason\":null},"
                "{\"step\":\"[build 2/5] RUN make\",\"stage\":\"build\",\"number\":2,\"instruction\":\"RUN make\","
                "\"result\":\"miss\",\"ended\":\"stopped\",\"reason\":{\"kind\":\"file\",\"name\":\"x\","
                "\"text\":\"x changed\",\"mount\":\"/src (bind)\",\"follows\":\"[1/2] COPY\"}}]}");
}

}  // namespace
}  // namespace slipway::cli
