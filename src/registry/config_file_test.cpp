#include "registry/config_file.hpp"

#include <gtest/gtest.h>

#include <map>

#include "sys/file.hpp"

namespace slipway::registry {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

class ConfigFile : public ::testing::Test {
 protected:
  Result<Pairs> proxies(const std::string& text, std::map<std::string, std::string> variables = {}) {
    EXPECT_TRUE(sys::replace_file(directory_.path() + "/config.json", text, 0600));
    variables.emplace("DOCKER_CONFIG", directory_.path());
    return configured_proxies([&](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
  }
  sys::TempDir directory_ = *sys::TempDir::make("/tmp", "slipway-config-");
};

constexpr const char* kTwo = R"({"auths":{},"proxies":{
  "default":{"httpProxy":"http://p:1","noProxy":"a,b","httpsProxy":""},
  "tcp://build:2376":{"allProxy":"socks5://q"}}})";

TEST_F(ConfigFile, TheDefaultInBothSpellings) {
  EXPECT_EQ(
      *proxies(kTwo),
      (Pairs{{"HTTP_PROXY", "http://p:1"}, {"http_proxy", "http://p:1"}, {"NO_PROXY", "a,b"}, {"no_proxy", "a,b"}}));
}

TEST_F(ConfigFile, ThoseOfADaemonStandInTheDefaultsPlace) {
  EXPECT_EQ(*proxies(kTwo, {{"DOCKER_HOST", "tcp://build:2376"}}),
            (Pairs{{"ALL_PROXY", "socks5://q"}, {"all_proxy", "socks5://q"}}));
  EXPECT_EQ(proxies(kTwo, {{"DOCKER_HOST", "tcp://other"}})->size(), 4u);
  EXPECT_EQ(proxies(R"({"proxies":{"unix:///var/run/docker.sock":{"ftpProxy":"f"}}})")->size(), 2u);
}

TEST_F(ConfigFile, NothingToRead) {
  EXPECT_EQ(*proxies("{}"), Pairs());
  EXPECT_EQ(*proxies(" \n"), Pairs());
  EXPECT_EQ(*configured_proxies([](const std::string&) { return std::optional<std::string>(); }), Pairs());
  EXPECT_EQ(*configured_proxies([](const std::string&) { return std::optional<std::string>("/nowhere"); }), Pairs());
}

TEST_F(ConfigFile, BrokenOnesAreNamed) {
  for (const auto* text :
       {"{", "[]", R"({"proxies":3})", R"({"proxies":{"default":[]}})", R"({"proxies":{"default":{"httpProxy":7}}})"}) {
    const auto found = proxies(text);
    ASSERT_FALSE(found) << text;
    EXPECT_TRUE(found.error().message().contains(directory_.path())) << found.error().message();
  }
}

}  // namespace
}  // namespace slipway::registry
