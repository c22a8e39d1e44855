#include "registry/registry_rules.hpp"

#include <gtest/gtest.h>

namespace slipway::registry {
namespace {

TEST(MirrorTest, ReadsWhatPeopleWrite) {
  EXPECT_EQ(Mirror::parse("https://mirror.example"), (Mirror{"mirror.example", "", false}));
  EXPECT_EQ(Mirror::parse("https://mirror.example:443/"), (Mirror{"mirror.example", "", false}));
  EXPECT_EQ(Mirror::parse("http://mirror.example:5000"), (Mirror{"mirror.example:5000", "", true}));
  EXPECT_EQ(Mirror::parse("mirror.example:5000/team/hub/"), (Mirror{"mirror.example:5000", "team/hub", false}));
  EXPECT_EQ(Mirror::parse("http://[::1]:5000/a"), (Mirror{"[::1]:5000", "a", true}));
}

TEST(MirrorTest, RefusesWhatIsNone) {
  for (const char* text :
       {"", "https://", "ftp://mirror.example", "file:///etc/passwd", "https://mirror.example/Team",
        "https://mirror.example/a/../b", "https://mirror.example/a?b=c", "https://mirror.example/a#b", "https://m e/",
        "https://mirror.example/a:1", "https://mirror.example//a", "https://mirror.example:99999", "\x1b[31m"}) {
    const auto mirror = Mirror::parse(text);
    ASSERT_FALSE(mirror) << text;
    EXPECT_EQ(mirror.error().code(), Code::kInvalidArgument) << text;
    EXPECT_EQ(mirror.error().message().find('\x1b'), std::string::npos);
  }
}

TEST(MirrorTest, DoesNotRepeatAPassword) {
  const auto mirror = Mirror::parse("https://joe:s3cret@mirror.example");
  ASSERT_FALSE(mirror);
  EXPECT_EQ(mirror.error().message().find("s3cret"), std::string::npos);
}

bool holds(const char* text, const char* registry) {
  const auto insecure = InsecureRegistry::parse(text);
  EXPECT_TRUE(insecure) << text;
  return insecure && insecure->holds(registry);
}

TEST(InsecureRegistryTest, HoldsByName) {
  EXPECT_TRUE(holds("registry.example:5000", "registry.example:5000"));
  EXPECT_FALSE(holds("registry.example:5000", "registry.example"));
  EXPECT_TRUE(holds("registry.example", "registry.example:5000"));
  EXPECT_TRUE(holds("http://Registry.Example:5000/", "registry.example:5000"));
  EXPECT_FALSE(holds("registry.example", "my.registry.example"));
  EXPECT_TRUE(holds("[fd00::1]:5000", "[fd00::1]:5000"));
}

TEST(InsecureRegistryTest, HoldsByNetwork) {
  EXPECT_TRUE(holds("10.0.0.0/8", "10.1.2.3:5000"));
  EXPECT_FALSE(holds("10.0.0.0/8", "11.1.2.3:5000"));
  EXPECT_TRUE(holds("192.168.7.0/25", "192.168.7.127"));
  EXPECT_FALSE(holds("192.168.7.0/25", "192.168.7.128"));
  EXPECT_FALSE(holds("10.0.0.0/8", "registry.example"));
  EXPECT_TRUE(holds("fd00::/8", "[fd12::1]:5000"));
  EXPECT_FALSE(holds("fd00::/8", "[fe80::1]:5000"));
  EXPECT_TRUE(holds("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(holds("0.0.0.0/0", "[fd00::1]")) << "every IPv4 address is no IPv6 address";
}

TEST(InsecureRegistryTest, RefusesWhatIsNone) {
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "fd00::/129", "host/8", "ho st", "a?b", "a#b",
                           "joe@host", "10.0.0.0/8/8", "\x1b[31m"})
    EXPECT_FALSE(InsecureRegistry::parse(text)) << text;
}

TEST(RuleForTest, OwnRuleThenEveryRegistry) {
  RegistryRules rules;
  rules["docker.io"].mirrors.push_back({"mirror.example"});
  rules[std::string(kEveryRegistry)].trust = Trust::kAnyCertificate;
  const std::vector insecure = {InsecureRegistry::parse("10.0.0.0/8").value()};
  EXPECT_EQ(rule_for(rules, insecure, "docker.io").mirrors.size(), 1U);
  EXPECT_EQ(rule_for(rules, insecure, "docker.io").trust, Trust::kVerified);
  EXPECT_EQ(rule_for(rules, insecure, "other.example").trust, Trust::kAnyCertificate);
  EXPECT_EQ(rule_for(rules, insecure, "10.0.0.1").trust, Trust::kAnybody);
  EXPECT_EQ(rule_for({}, {}, "10.0.0.1").trust, Trust::kVerified);
}

}  // namespace
}  // namespace slipway::registry
