#include "http/proxies.hpp"

#include <gtest/gtest.h>

#include <map>

#include "http/address.hpp"

namespace slipway::http {
namespace {

Result<Proxies> from(const std::map<std::string, std::string>& variables) {
  return Proxies::from([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

std::string chosen(const std::map<std::string, std::string>& variables, const char* url) {
  const auto proxies = from(variables);
  EXPECT_TRUE(proxies) << proxies.error().message();
  return proxies ? proxies->for_url(Url::parse(url).value()) : "";
}

TEST(Proxies, BySchemeAndSpelling) {
  EXPECT_EQ(chosen({}, "https://a.example/"), "");
  EXPECT_EQ(chosen({{"HTTPS_PROXY", "http://p:3128"}}, "https://a.example/"), "http://p:3128");
  EXPECT_EQ(chosen({{"HTTPS_PROXY", "http://p:3128"}}, "http://a.example/"), "");
  EXPECT_EQ(chosen({{"HTTPS_PROXY", "up:1"}, {"https_proxy", "low:2"}}, "https://a.example/"), "http://low:2");
  EXPECT_EQ(chosen({{"HTTPS_PROXY", "up:1"}, {"https_proxy", ""}}, "https://a.example/"), "");
  EXPECT_EQ(chosen({{"HTTP_PROXY", "p:1"}}, "http://a.example/"), "http://p:1");
  EXPECT_EQ(chosen({{"HTTP_PROXY", "p:1"}, {"REQUEST_METHOD", "GET"}}, "http://a.example/"), "");
  EXPECT_EQ(chosen({{"ALL_PROXY", "socks5h://p:1"}}, "http://a.example/"), "socks5h://p:1");
  EXPECT_EQ(chosen({{"https_proxy", "http://joe:p%40ss@p:1/"}}, "https://a.example/"), "http://joe:p%40ss@p:1");
}

TEST(Proxies, Exceptions) {
  const auto through = [](const char* no_proxy, const char* url) {
    return !chosen({{"https_proxy", "p:1"}, {"http_proxy", "p:1"}, {"NO_PROXY", no_proxy}}, url).empty();
  };
  EXPECT_TRUE(through("", "https://a.example/"));
  EXPECT_FALSE(through("*", "https://a.example/"));
  EXPECT_FALSE(through("x.example, A.Example", "https://a.example/"));
  EXPECT_FALSE(through("example", "https://a.example/"));
  EXPECT_FALSE(through(".example", "https://a.example/"));
  EXPECT_FALSE(through("*.example", "https://a.example/"));
  EXPECT_TRUE(through("a.example", "https://xa.example/"));
  EXPECT_TRUE(through("a.example:8443", "https://a.example/"));
  EXPECT_FALSE(through("a.example:443", "https://a.example/"));
  EXPECT_FALSE(through("10.0.0.0/8 192.168.1.7", "https://10.20.30.40:5000/"));
  EXPECT_FALSE(through("10.0.0.0/8 192.168.1.7", "https://192.168.1.7/"));
  EXPECT_TRUE(through("10.0.0.0/8 192.168.1.7", "https://192.168.1.8/"));
  EXPECT_TRUE(through("10.0.0.0/8", "https://a.example/"));
  EXPECT_FALSE(through("fd00::/8", "https://[fd12::1]/"));
  EXPECT_FALSE(through("fd12::1", "https://[fd12::1]/"));
  EXPECT_FALSE(through("[fd12::1]:443", "https://[fd12::1]/"));
  EXPECT_FALSE(through("0.0.0.0/0", "https://8.8.8.8/"));
  EXPECT_TRUE(through("0.0.0.0/0", "https://[fd12::1]/"));
  EXPECT_TRUE(through(",,.,:80,/8,10.0.0.0/99", "https://10.0.0.1/"));
  EXPECT_FALSE(through("", "https://127.0.0.1:5000/")) << "loopback";
  EXPECT_FALSE(through("", "http://localhost/")) << "loopback";
}

TEST(Proxies, WhatIsNoneIsRefusedAndNotRepeated) {
  for (const char* text :
       {"ftp://joe:s3cret@p", "socks9://joe:s3cret@p:1", "http://joe:s3cret@", "http://joe:s3cret@p:x",
        "http://joe:s3cret@p:99999", "http://joe:s3\ncret@p", "joe:s3cret@p p", "http://"}) {
    const auto made = from({{"HTTPS_PROXY", text}});
    ASSERT_FALSE(made) << text;
    EXPECT_EQ(made.error().code(), Code::kInvalidArgument);
    EXPECT_NE(made.error().message().find("HTTPS_PROXY"), std::string::npos);
    EXPECT_EQ(made.error().message().find("s3cret"), std::string::npos) << made.error().message();
  }
  EXPECT_FALSE(from({{"HTTPS_PROXY", std::string(10'000, 'p')}}));
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "a,";
  EXPECT_FALSE(from({{"NO_PROXY", many}}));
}

TEST(Network, ReadsAndHolds) {
  EXPECT_TRUE(Network::parse("10.0.0.0/8")->holds(*parse_address("10.1.2.3")));
  EXPECT_FALSE(Network::parse("10.0.0.0/8")->holds(*parse_address("11.1.2.3")));
  EXPECT_TRUE(Network::parse("fd00::/8")->holds(*parse_address("[fd12::1]")));
  for (const char* text : {"", "/", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "fd00::/129", "a.example/8"})
    EXPECT_FALSE(Network::parse(text)) << text;
}

}  // namespace
}  // namespace slipway::http
