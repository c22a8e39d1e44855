#include "cli/registry_repositories.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

std::string parts(std::string_view text) {
  const RepositoryName name = split_repository_name(text);
  return fmt::format("{}|{}|{}", name.repository, name.tag, name.digest);
}

TEST(RepositoryName, HasATagADigestOrNone) {
  EXPECT_EQ(parts("team/app"), "team/app||");
  EXPECT_EQ(parts("team/app:1.0"), "team/app|1.0|");
  EXPECT_EQ(parts("team/app@sha256:ab"), "team/app||sha256:ab");
  EXPECT_EQ(parts("team/app:1@sha256:ab"), "team/app||sha256:ab");
  EXPECT_EQ(parts("127.0.0.1:5000/team/app"), "127.0.0.1:5000/team/app||");
  EXPECT_EQ(parts("127.0.0.1:5000/team/app:2"), "127.0.0.1:5000/team/app|2|");
  EXPECT_EQ(parts("app:"), "app||");
  EXPECT_EQ(parts(""), "||");
}

}  // namespace
}  // namespace slipway::cli
