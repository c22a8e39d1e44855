#include "build/target_platforms.hpp"

#include <gtest/gtest.h>

#include "build/stage_plan.hpp"

namespace slipway::build {
namespace {

oci::Platform platform(const std::string& text) { return oci::Platform::parse(text).value(); }

Request request(const std::vector<std::string>& platforms, const std::string& multi = "") {
  Request out;
  for (const auto& text : platforms) out.platforms.push_back(platform(text));
  if (!multi.empty()) out.build_args.emplace_back("BUILDKIT_MULTI_PLATFORM", multi);
  return out;
}

TEST(TargetPlatforms, WithoutAnyItIsThisMachines) {
  const auto found = target_platforms(request({}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->list, std::vector{oci::Platform::host()});
  EXPECT_TRUE(found->implicit);
  EXPECT_FALSE(found->index);
}

TEST(TargetPlatforms, TwiceTheSameCountsOnce) {
  const auto found = target_platforms(request({"linux/arm64", "linux/amd64", "linux/arm64/v8", "aarch64"}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->list, (std::vector{platform("linux/arm64"), platform("linux/amd64")}));
  EXPECT_FALSE(found->implicit);
  EXPECT_TRUE(found->index);
  EXPECT_FALSE(target_platforms(request({"linux/arm64", "linux/arm64/v8"}))->index);
}

TEST(TargetPlatforms, AnIndexOfOneOnDemand) {
  EXPECT_TRUE(target_platforms(request({}, "1"))->index);
  EXPECT_TRUE(target_platforms(request({"linux/arm64"}, "True"))->index);
  EXPECT_FALSE(target_platforms(request({"linux/arm64"}, "0"))->index);
  EXPECT_EQ(target_platforms(request({"linux/arm64", "linux/amd64"}, "false")).error().what(),
            "conflicting config: returning multiple target platforms is not allowed");
  EXPECT_EQ(target_platforms(request({}, "yes")).error().what(), "invalid boolean value for multi-platform: \"yes\"");
}

TEST(TargetPlatforms, FoldersAreNamedAsBuildKitDoes) {
  EXPECT_EQ(platform_folder(platform("linux/amd64")), "linux_amd64");
  EXPECT_EQ(platform_folder(platform("linux/arm/v7")), "linux_arm_v7");
  EXPECT_EQ(platform_folder(platform("windows(10.0.1)/amd64")), "windows(10.0.1)_amd64");
}

std::string step(const std::string& of, const std::vector<std::string>& environment) {
  StepNames names{.platform = platform(of), .stage = "build ", .total = 2};
  return names.take("RUN x", Environment(environment));
}

TEST(StepNames, TellWhatTheyBuildFor) {
  EXPECT_EQ(step("linux/amd64", {}), "[linux/amd64 build 1/2] RUN x");
  EXPECT_EQ(step("linux/amd64", {"TARGETPLATFORM=linux/amd64"}), "[linux/amd64 build 1/2] RUN x");
  EXPECT_EQ(step("linux/amd64", {"TARGETPLATFORM=linux/arm/v7"}), "[linux/amd64->arm/v7 build 1/2] RUN x");
  EXPECT_EQ(step("linux/amd64", {"TARGETARCH=arm64"}), "[linux/amd64->arm64 build 1/2] RUN x");
  EXPECT_EQ(step("linux/amd64", {"TARGETARCH=arm", "TARGETVARIANT=v6"}), "[linux/amd64->arm/v6 build 1/2] RUN x");
  EXPECT_EQ(step("linux/amd64", {"TARGETOS=windows"}), "[linux/amd64->windows/amd64 build 1/2] RUN x");
  EXPECT_EQ(step("linux/arm/v7", {"TARGETOS=linux"}), "[linux/arm/v7 build 1/2] RUN x");
  EXPECT_EQ(step("linux/amd64", {"TARGETPLATFORM=\x1b[31m"}), "[linux/amd64 build 1/2] RUN x");
  StepNames single{.platform = std::nullopt, .stage = "", .total = 1};
  EXPECT_EQ(single.take("RUN x", Environment({"TARGETARCH=arm64"})), "[1/1] RUN x");
}

}  // namespace
}  // namespace slipway::build
