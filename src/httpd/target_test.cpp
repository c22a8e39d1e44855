#include "httpd/target.hpp"

#include <gtest/gtest.h>

namespace slipway::httpd {
namespace {

TEST(Target, PathAndQuery) {
  const auto target = Target::parse("/v2/team/app/tags/list?n=10&last=a%2Bb&tag=1&tag=2+3&flag");
  ASSERT_TRUE(target) << target.error().message();
  EXPECT_EQ(target->path(), "/v2/team/app/tags/list");
  EXPECT_EQ(target->query("n"), "10");
  EXPECT_EQ(target->query("last"), "a+b");
  EXPECT_EQ(target->queries("tag"), (std::vector<std::string>{"1", "2 3"}));
  EXPECT_EQ(target->query("flag"), "");
  EXPECT_EQ(target->query("none"), std::nullopt);
}

TEST(Target, EscapesAreDecodedOnce) {
  EXPECT_EQ(Target::parse("/a/sha256%3Aab%252F")->path(), "/a/sha256:ab%2F");
  EXPECT_EQ(Target::parse("/a+b")->path(), "/a+b");
  EXPECT_EQ(Target::parse("/..%2f..%2Fetc")->path(), "/../../etc");  // means nothing here: no path is a file's
}

TEST(Target, AbsoluteForm) {
  EXPECT_EQ(Target::parse("http://host:5000/v2/?x=1")->path(), "/v2/");
  EXPECT_EQ(Target::parse("HTTPS://host")->path(), "/");
}

TEST(Target, Refused) {
  for (const char* text : {"", "v2", "*", "/a%", "/a%2", "/a%zz", "/a%00", "/a%0a", "/a b", "/a\tb", "/\xc3\xa4",
                           "/a#b", "ftp://x/", "/?a=%g1"})
    EXPECT_FALSE(Target::parse(text)) << text;
  std::string many = "/?";
  for (int i = 0; i < 1000; ++i) many += "a=b&";
  EXPECT_FALSE(Target::parse(many));
}

}  // namespace
}  // namespace slipway::httpd
