#include "cli/registry_name.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

TEST(RegistryName, SchemesPathsAndHubNames) {
  EXPECT_EQ(registry_name("").value(), "docker.io");
  EXPECT_EQ(registry_name("https://index.docker.io/v1/").value(), "docker.io");
  EXPECT_EQ(registry_name("docker.io").value(), "docker.io");
  EXPECT_EQ(registry_name("registry.example").value(), "registry.example");
  EXPECT_EQ(registry_name("https://registry.example:5000/v2/").value(), "registry.example:5000");
  EXPECT_EQ(registry_name("127.0.0.1:5000/team").value(), "127.0.0.1:5000");
  for (const char* bad : {"a b", "user@host", "/x", "http://"}) {
    const auto name = registry_name(bad);
    ASSERT_FALSE(name) << bad;
    EXPECT_EQ(name.error().code(), Code::kUsage);
  }
}

}  // namespace
}  // namespace slipway::cli
