#include "http/url.hpp"

#include <gtest/gtest.h>

namespace slipway::http {
namespace {

std::string parsed(std::string_view text) {
  const auto url = Url::parse(text);
  return url ? url->text() : "";
}

TEST(Url, PartsAndDefaults) {
  const Url url = Url::parse("HTTPS://Registry.Example.com:443/v2/a?x=1#part").value();
  EXPECT_EQ(url.scheme(), "https");
  EXPECT_EQ(url.host(), "registry.example.com");
  EXPECT_EQ(url.port(), 443);
  EXPECT_EQ(url.target(), "/v2/a?x=1");
  EXPECT_EQ(url.text(), "https://registry.example.com/v2/a?x=1");
  EXPECT_EQ(parsed("http://[::1]:5000"), "http://[::1]:5000/");
  EXPECT_EQ(parsed("http://h?q"), "http://h/?q");
  EXPECT_EQ(parsed("http://192.168.0.10:5000/"), "http://192.168.0.10:5000/");
  EXPECT_EQ(parsed("http://3f2a9c0:5000/"), "http://3f2a9c0:5000/");
  EXPECT_EQ(parsed("https://one.example#@two.example/"), "https://one.example/");
}

TEST(Url, RefusesWhatReadersCouldTakeDifferently) {
  for (const auto* text : {"",
                           "host/path",
                           "ftp://h/",
                           "file:///etc/passwd",
                           "https://user@h/",
                           "https://user:pw@h/",
                           "https://h:0/",
                           "https://h:65536/",
                           "https://h:/",
                           "https:///x",
                           "https://h x/",
                           "https://h\\@evil/",
                           "https://h/a b",
                           "https://h/\r\nX: y",
                           "https://h\x01/",
                           "https://[::1/",
                           "https://[]/",
                           "https://h/\xc3\xa9",
                           "https://-h/",
                           "http://2130706433/",
                           "http://0x7f000001/",
                           "http://0X7F.1/",
                           "http://127.1/",
                           "http://0177.0.0.1/",
                           "http://127.0.0.1./",
                           "http://256.0.0.1/",
                           "http://a.b.1/",
                           "http://0x/"})
    EXPECT_FALSE(Url::parse(text)) << text;
  EXPECT_FALSE(Url::parse("https://h/" + std::string(20'000, 'a')));
}

TEST(Url, UserInformationIsNotRepeatedInTheError) {
  const auto url = Url::parse("https://me:secret@host/");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().message().find("secret"), std::string::npos) << url.error().message();
}

TEST(Url, Resolve) {
  const Url base = Url::parse("https://h:8443/v2/app/blobs/x?y=1").value();
  EXPECT_EQ(base.resolve("https://other/z").value().text(), "https://other/z");
  EXPECT_EQ(base.resolve("//other/z").value().text(), "https://other/z");
  EXPECT_EQ(base.resolve("/z?a=http://q:1/").value().text(), "https://h:8443/z?a=http://q:1/");
  EXPECT_EQ(base.resolve("z").value().text(), "https://h:8443/v2/app/blobs/z");
  EXPECT_EQ(base.resolve("?z").value().text(), "https://h:8443/v2/app/blobs/x?z");
  EXPECT_FALSE(base.resolve("javascript:x"));
  EXPECT_FALSE(base.resolve("gopher://h/"));
}

TEST(Url, Origin) {
  const Url a = Url::parse("https://h/1").value();
  EXPECT_TRUE(a.same_origin(Url::parse("https://H:443/2").value()));
  EXPECT_FALSE(a.same_origin(Url::parse("http://h/1").value()));
  EXPECT_FALSE(a.same_origin(Url::parse("https://h:444/1").value()));
  EXPECT_FALSE(a.same_origin(Url::parse("https://h.evil/1").value()));
}

TEST(Url, Query) {
  const Url url = Url::parse("https://h/token").value();
  EXPECT_EQ(url.with_query("scope", "repository:a/b:pull").with_query("service", "x y&z").text(),
            "https://h/token?scope=repository%3Aa%2Fb%3Apull&service=x%20y%26z");
}

TEST(Loopback, OnlyWhatCanNotBeElsewhere) {
  for (const auto* host : {"127.0.0.1", "127.255.255.254", "localhost", "LOCALHOST", "::1", "[::1]"})
    EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const auto* host :
       {"128.0.0.1", "127.0.0.1.evil", "127.1", "127.0.0.256", "127.0.0.01", "localhost.evil", "::2", "", "127.0.0.x"})
    EXPECT_FALSE(is_loopback_host(host)) << host;
}

}  // namespace
}  // namespace slipway::http
