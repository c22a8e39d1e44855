#include "registry/challenge.hpp"

#include <gtest/gtest.h>

#include "registry/base64.hpp"
#include "registry/retry.hpp"

namespace slipway::registry {
namespace {

TEST(Challenges, Bearer) {
  const auto found = parse_challenges(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].scheme, "bearer");
  EXPECT_EQ(found[0].parameters.at("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(found[0].parameters.at("scope"), "repository:a/b:pull,push");
}

TEST(Challenges, ManyInOneLineAndQuotedPairs) {
  const auto found = parse_challenges(R"(Negotiate, BASIC Realm = "a \"b\", c=d" , Bearer realm=x)");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].scheme, "negotiate");
  EXPECT_EQ(found[1].scheme, "basic");
  EXPECT_EQ(found[1].parameters.at("realm"), R"(a "b", c=d)");
  EXPECT_EQ(found[2].parameters.at("realm"), "x");
}

TEST(Challenges, TheFirstOfANameCounts) {
  const auto found = parse_challenges(R"(Bearer realm="https://a/", REALM="https://b/")");
  EXPECT_EQ(found.at(0).parameters.at("realm"), "https://a/");
}

TEST(Challenges, GarbageEndsIt) {
  for (const auto* text : {"", ",,,", "=x", "\"", "\x01\x02", "realm=\"x\""})
    EXPECT_TRUE(parse_challenges(text).empty()) << text;
  EXPECT_TRUE(parse_challenges("Bearer realm=\"never ends").at(0).parameters.empty());
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "a, ";
  EXPECT_LE(parse_challenges(many).size(), 16U);
}

TEST(Base64, KnownVectors) {
  for (const auto& [plain, text] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}}) {
    EXPECT_EQ(base64_encode(plain), text);
    EXPECT_EQ(base64_decode(text).value(), plain);
  }
  for (const auto* text : {"Z", "Zg=", "Zg==Zg==", "Z===", "Zm9v!", "Zm9\n"}) EXPECT_FALSE(base64_decode(text)) << text;
}

TEST(RetryAfter, SecondsAndDates) {
  const Timestamp at{784111777, 0};  // Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(parse_retry_after("120", at), 120);
  EXPECT_EQ(parse_retry_after(" 0 ", at), 0);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", at), 30);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", at), 0);
  for (const auto* text : {"", "soon", "-1", "1.5", "99999999999999999999"})
    EXPECT_EQ(parse_retry_after(text, at), std::nullopt) << text;
}

}  // namespace
}  // namespace slipway::registry
