#include "build/remote_file.hpp"

#include <gtest/gtest.h>

#include "build/context_archive.hpp"
#include "build/named_context.hpp"

namespace slipway::build {
namespace {

std::string name(const std::string& url, const std::optional<std::string>& disposition = std::nullopt) {
  return remote_file_name(*http::Url::parse(url), disposition);
}

TEST(RemoteFileTest, NameIsThatOfThePath) {
  EXPECT_EQ("b.tar", name("http://h/a/b.tar?x=/c"));
  EXPECT_EQ("b", name("http://h/a/b/"));
  EXPECT_EQ("a b", name("http://h/a%20b"));
  EXPECT_EQ("b", name("http://h/a%2fb"));  // as Go's path.Base of the decoded path
  EXPECT_EQ("b", name("http://h/b", "attachment; filename=other"));
}

TEST(RemoteFileTest, NameWithoutAPath) {
  EXPECT_EQ("__unnamed__", name("http://h/"));
  EXPECT_EQ("__unnamed__", name("http://h"));
  EXPECT_EQ("x.txt", name("http://h/", "attachment; filename=\"x.txt\""));
  EXPECT_EQ("passwd", name("http://h/", "attachment; filename=\"../../etc/passwd\""));
  EXPECT_EQ("__unnamed__", name("http://h/", "attachment; filename=\"..\""));
  EXPECT_EQ("__unnamed__", name("http://h/", "inline"));
}

TEST(RemoteFileTest, NameIsOneComponent) {
  EXPECT_EQ("__unnamed__", name("http://h/%2e%2e"));
  EXPECT_EQ("__unnamed__", name("http://h/a%00b"));
  EXPECT_EQ("__unnamed__", name("http://h/a%0ab"));
  EXPECT_EQ("__unnamed__", name("http://h/" + std::string(300, 'a')));
}

TEST(RemoteFileTest, HttpDates) {
  EXPECT_EQ(1'700'000'000, parse_http_date("Tue, 14 Nov 2023 22:13:20 GMT"));
  EXPECT_EQ(0, parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"));
  for (const auto* text : {"", "yesterday", "Tue, 14 Nov 2023 22:13:20 UTC", "Tue, 99 Nov 2023 22:13:20 GMT",
                           "Tue, 14 Foo 2023 22:13:20 GMT", "Tue, 14 Nov 2023 25:13:20 GMT"})
    EXPECT_EQ(std::nullopt, parse_http_date(text)) << text;
}

TEST(ContextArchiveTest, ToldByContent) {
  using namespace std::string_view_literals;
  EXPECT_TRUE(looks_like_archive("\x1f\x8b\x08"sv));
  EXPECT_TRUE(looks_like_archive("BZh9"sv));
  EXPECT_TRUE(looks_like_archive("\xfd\x37\x7a\x58\x5a\x00"sv));
  EXPECT_TRUE(looks_like_archive("\x28\xb5\x2f\xfd"sv));
  EXPECT_FALSE(looks_like_archive("FROM scratch\n"sv));
  EXPECT_FALSE(looks_like_archive(""sv));
  EXPECT_FALSE(looks_like_archive(std::string(512, '\0')));
  EXPECT_FALSE(looks_like_archive(std::string(512, ' ')));
  // A header of before ustar: no magic, only a right checksum.
  std::string old(512, '\0');
  old.replace(0, 4, "file");
  old.replace(148, 8, "        ");
  int sum = 0;
  for (const char c : old) sum += static_cast<unsigned char>(c);
  old.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  EXPECT_TRUE(looks_like_archive(old));
  old[1] = 'j';
  EXPECT_FALSE(looks_like_archive(old));
}

TEST(NamedContextTest, Kinds) {
  const auto kind = [](std::string_view text) { return NamedContext::parse(text)->kind; };
  EXPECT_EQ(NamedContext::Kind::kFolder, kind("a=dir"));
  EXPECT_EQ(NamedContext::Kind::kFolder, kind("a=../x.git"));
  EXPECT_EQ(NamedContext::Kind::kImage, kind("a=docker-image://alpine"));
  EXPECT_EQ(NamedContext::Kind::kLayout, kind("a=oci-layout://dir:tag"));
  EXPECT_EQ(NamedContext::Kind::kStage, kind("a=target:build"));
  EXPECT_EQ(NamedContext::Kind::kRemote, kind("a=https://h/x.tar"));
  EXPECT_EQ(NamedContext::Kind::kRemote, kind("a=git@h:x"));
  EXPECT_EQ("alpine", NamedContext::parse("a=docker-image://alpine")->value);
}

TEST(NamedContextTest, OneNameForOneImage) {
  for (const auto* text : {"alpine", "alpine:latest", "docker.io/library/alpine", "docker.io/library/alpine:latest"})
    EXPECT_EQ("alpine", canonical_context_name(text)) << text;
  EXPECT_EQ("alpine:3", canonical_context_name("docker.io/library/alpine:3"));
  EXPECT_EQ("mid", NamedContext::parse("MID=x")->name);
  EXPECT_EQ("alpine", canonical_context_name("ALPINE:latest"));
  EXPECT_EQ("alpine:V1", canonical_context_name("alpine:V1"));
  EXPECT_EQ("alpine:V1", NamedContext::parse("alpine:V1=x")->name) << "what FROM alpine:V1 asks for";
}

TEST(NamedContextTest, Refusals) {
  for (const auto* text : {"", "a", "a=", "=b", "context=b", "scratch=b", "../a=b", "a=docker-image://", "a b=c"}) {
    const auto context = NamedContext::parse(text);
    ASSERT_FALSE(context) << text;
    EXPECT_EQ(Code::kUsage, context.error().code()) << text;
  }
}

TEST(NamedContextTest, LayoutAddresses) {
  const auto all = LayoutAddress::parse("dir/sub:v1@sha256:aa");
  EXPECT_EQ("dir/sub", all.directory);
  EXPECT_EQ("v1", all.tag);
  EXPECT_EQ("sha256:aa", all.digest);
  EXPECT_EQ("/a:b/c", LayoutAddress::parse("/a:b/c").directory);
  EXPECT_EQ("dir", LayoutAddress::parse("dir@sha256:aa").directory);
}

}  // namespace
}  // namespace slipway::build
