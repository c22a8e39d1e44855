#include "registry/registry_config.hpp"

#include <gtest/gtest.h>

#include <map>

#include "sys/file.hpp"

namespace slipway::registry {
namespace {

TEST(MirrorOfTest, OfDockerHubOrOfAnyRegistry) {
  EXPECT_EQ(MirrorOf::parse("https://mirror.example")->registry, "docker.io");
  EXPECT_EQ(MirrorOf::parse("docker.io=https://mirror.example")->registry, "docker.io");
  EXPECT_EQ(MirrorOf::parse("index.docker.io=https://mirror.example")->registry, "docker.io");
  EXPECT_EQ(MirrorOf::parse("ghcr.example=https://mirror.example/ghcr")->registry, "ghcr.example");
  EXPECT_EQ(MirrorOf::parse("127.0.0.1:5000=http://127.0.0.1:5001")->mirror.registry, "127.0.0.1:5001");
  for (const char* text : {"=https://mirror.example", "hub=https://mirror.example", "a/b=https://mirror.example",
                           "a.example=", "a.example=ftp://x", "a.example=https://joe:s3cret@x"}) {
    const auto made = MirrorOf::parse(text);
    ASSERT_FALSE(made) << text;
    EXPECT_EQ(made.error().message().find("s3cret"), std::string::npos);
  }
}

class RegistryConfig : public testing::Test {
 protected:
  Status read() {
    return read_registry_config(
        [this](const std::string& name) -> std::optional<std::string> {
          const auto found = variables.find(name);
          return found == variables.end() ? std::nullopt : std::optional(found->second);
        },
        rules, insecure);
  }
  void write(const std::string& text) {
    ASSERT_TRUE(sys::make_directories(home.path() + "/.config/slipway", 0700));
    ASSERT_TRUE(sys::replace_file(home.path() + "/.config/slipway/registries.json", text, 0600));
  }
  const sys::TempDir home = sys::TempDir::make("/tmp", "slipway-registries-").value();
  std::map<std::string, std::string> variables = {{"HOME", home.path()}};
  RegistryRules rules;
  std::vector<InsecureRegistry> insecure;
};

TEST_F(RegistryConfig, VariablesBeforeTheFile) {
  write(R"({"registry-mirrors": ["https://b.example", "https://a.example"], "insecure-registries": ["10.0.0.0/8"],
            "data-root": "/elsewhere", "features": {"x": true}})");
  variables["SLIPWAY_REGISTRY_MIRROR"] = "https://a.example, quay.example=https://q.example/quay";
  variables["SLIPWAY_INSECURE_REGISTRY"] = "one.example two.example:5000";
  ASSERT_TRUE(read());
  EXPECT_EQ(rules["docker.io"].mirrors, (std::vector<Mirror>{{"a.example"}, {"b.example"}}));
  EXPECT_EQ(rules["quay.example"].mirrors, (std::vector<Mirror>{{"q.example", "quay"}}));
  ASSERT_EQ(insecure.size(), 3U);
  EXPECT_TRUE(insecure[2].holds("10.1.1.1"));
}

TEST_F(RegistryConfig, AnEmptyNameReadsNoFile) {
  write("{");
  EXPECT_FALSE(read());
  variables["SLIPWAY_REGISTRY_CONFIG"] = "";
  EXPECT_TRUE(read());
  variables["SLIPWAY_REGISTRY_CONFIG"] = home.path() + "/none";
  EXPECT_EQ(read().error().code(), Code::kNotFound);
}

TEST_F(RegistryConfig, HostileFilesAreNamedAndRefused) {
  for (const std::string text :
       {"[]", "{\"registry-mirrors\": \"https://a.example\"}", "{\"registry-mirrors\": [1]}",
        "{\"registry-mirrors\": [\"ftp://a.example\"]}", "{\"insecure-registries\": [\"10.0.0.0/99\"]}",
        "{\"insecure-registries\": {}}", "{\"registry-mirrors\": [\"https://\\u001b[31m\"]}", "\xff\xfe"}) {
    write(text);
    const auto status = read();
    ASSERT_FALSE(status) << text;
    EXPECT_NE(status.error().message().find("registries.json"), std::string::npos) << status.error().message();
    EXPECT_EQ(status.error().message().find('\x1b'), std::string::npos);
  }
  write(std::string(2 << 20, ' '));
  EXPECT_FALSE(read()) << "too long";
  write(std::string(100'000, '['));
  EXPECT_FALSE(read()) << "too deep";
  std::string many = "{\"insecure-registries\": [\"a.example\"";
  for (int i = 0; i < 2000; ++i) many += ",\"a.example\"";
  write(many + "]}");
  EXPECT_FALSE(read()) << "too many";
}

}  // namespace
}  // namespace slipway::registry
