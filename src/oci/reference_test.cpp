#include "oci/reference.hpp"

#include <gtest/gtest.h>

namespace slipway::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'f');
const std::string kHex = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a";

Reference reference(std::string_view text) { return Reference::parse(text).value(); }

struct Case {
  std::string text, registry, repository, tag, familiar;
};

// The cases of distribution/reference's own tests, and ours.
TEST(Reference, Normalises) {
  const std::vector<Case> table = {
      {"app", "docker.io", "library/app", "latest", "app:latest"},
      {"debian:12", "docker.io", "library/debian", "12", "debian:12"},
      {"test.com:5000", "docker.io", "library/test.com", "5000", "test.com:5000"},
      {"192.168.0.1", "docker.io", "library/192.168.0.1", "latest", "192.168.0.1:latest"},
      {"foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080", "foo_bar.com:8080"},
      {"library/ubuntu", "docker.io", "library/ubuntu", "latest", "ubuntu:latest"},
      {"docker.io/ubuntu", "docker.io", "library/ubuntu", "latest", "ubuntu:latest"},
      {"docker.io/library/ubuntu", "docker.io", "library/ubuntu", "latest", "ubuntu:latest"},
      {"index.docker.io/ubuntu:1", "docker.io", "library/ubuntu", "1", "ubuntu:1"},
      {"index.docker.io/fooo/bar", "docker.io", "fooo/bar", "latest", "fooo/bar:latest"},
      {"library/foo/bar", "docker.io", "library/foo/bar", "latest", "library/foo/bar:latest"},
      {"store/foo/bar", "docker.io", "store/foo/bar", "latest", "store/foo/bar:latest"},
      {"nonlibrary/ubuntu", "docker.io", "nonlibrary/ubuntu", "latest", "nonlibrary/ubuntu:latest"},
      {"localhost/fooo/bar", "localhost", "fooo/bar", "latest", "localhost/fooo/bar:latest"},
      {"localhost/fooo", "localhost", "fooo", "latest", "localhost/fooo:latest"},
      {"localhost:5000/fooo:t", "localhost:5000", "fooo", "t", "localhost:5000/fooo:t"},
      {"LOCALDOMAIN/fooo", "LOCALDOMAIN", "fooo", "latest", "LOCALDOMAIN/fooo:latest"},
      {"Foo/bar", "Foo", "bar", "latest", "Foo/bar:latest"},
      {"foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", "8080", "foo/foo_bar.com:8080"},
      {"127.0.0.1:8000/private/moonbase", "127.0.0.1:8000", "private/moonbase", "latest",
       "127.0.0.1:8000/private/moonbase:latest"},
      {"192.168.1.1/repo", "192.168.1.1", "repo", "latest", "192.168.1.1/repo:latest"},
      {"192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", "5050", "192.168.1.1:5000/repo:5050"},
      {"test:5000/repo:tag", "test:5000", "repo", "tag", "test:5000/repo:tag"},
      {"sub-dom1.foo.com/bar/baz/quux", "sub-dom1.foo.com", "bar/baz/quux", "latest",
       "sub-dom1.foo.com/bar/baz/quux:latest"},
      {"b.gcr.io/test.example.com/my-app:test.example.com", "b.gcr.io", "test.example.com/my-app", "test.example.com",
       "b.gcr.io/test.example.com/my-app:test.example.com"},
      {"xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com"},
      {"[fc00::1]:5000/docker", "[fc00::1]:5000", "docker", "latest", "[fc00::1]:5000/docker:latest"},
      {"[2001:db8::1]/repo:tag", "[2001:db8::1]", "repo", "tag", "[2001:db8::1]/repo:tag"},
      {"[::1]:5000/repo", "[::1]:5000", "repo", "latest", "[::1]:5000/repo:latest"},
      {"docker.io/" + kHex, "docker.io", "library/" + kHex, "latest", kHex + ":latest"},
      {"docker---rules/docker", "docker.io", "docker---rules/docker", "latest", "docker---rules/docker:latest"},
      {"docker.io/localhost/x", "docker.io", "localhost/x", "latest", "docker.io/localhost/x:latest"},
      {"docker.io/a.b/x", "docker.io", "a.b/x", "latest", "docker.io/a.b/x:latest"},
      {"docker.io/docker.io/x", "docker.io", "docker.io/x", "latest", "docker.io/docker.io/x:latest"},
      {"dock__er/docker", "docker.io", "dock__er/docker", "latest", "dock__er/docker:latest"},
      {"d/docker", "docker.io", "d/docker", "latest", "d/docker:latest"},
      {"lowercase:Uppercase", "docker.io", "library/lowercase", "Uppercase", "lowercase:Uppercase"},
      {"a:_x.-Y", "docker.io", "library/a", "_x.-Y", "a:_x.-Y"},
  };
  for (const Case& row : table) {
    const auto parsed = Reference::parse(row.text);
    ASSERT_TRUE(parsed) << row.text;
    EXPECT_EQ(parsed->registry(), row.registry) << row.text;
    EXPECT_EQ(parsed->repository(), row.repository) << row.text;
    EXPECT_EQ(parsed->tag(), row.tag) << row.text;
    EXPECT_FALSE(parsed->digest()) << row.text;
    EXPECT_EQ(parsed->canonical(), row.registry + "/" + row.repository + ":" + row.tag) << row.text;
    EXPECT_EQ(parsed->familiar(), row.familiar) << row.text;
    EXPECT_EQ(reference(parsed->canonical()), *parsed) << row.text;
    if (row.familiar.starts_with(kHex)) continue;  // on its own that would be an image id
    EXPECT_EQ(reference(parsed->familiar()), *parsed) << row.text;
  }
}

TEST(Reference, KeepsADigest) {
  const Reference only = reference("127.0.0.1:5000/team/app@" + kDigest);
  EXPECT_EQ(only.tag(), "");
  EXPECT_EQ(only.digest()->text(), kDigest);
  EXPECT_EQ(only.canonical(), "127.0.0.1:5000/team/app@" + kDigest);
  EXPECT_EQ(only.familiar_name(), "127.0.0.1:5000/team/app");
  const Reference both = reference("debian:12@" + kDigest);
  EXPECT_EQ(both.tag(), "12");
  EXPECT_EQ(both.canonical(), "docker.io/library/debian:12@" + kDigest);
  EXPECT_EQ(both.familiar(), "debian:12@" + kDigest);
  EXPECT_EQ(both.familiar_name(), "debian");
  EXPECT_EQ(reference(both.canonical()), both);
  EXPECT_TRUE(Reference::parse("a@sha512:" + std::string(128, 'a')));
}

TEST(Reference, RefusesWhatDockerRefuses) {
  const std::string long_name = std::string(256, 'a');
  for (const std::string& text : {std::string(),
                                  std::string(":justtag"),
                                  "@" + kDigest,
                                  std::string("repo@sha256:ffff"),
                                  "a@sha384:" + kHex,
                                  std::string("Uppercase:tag"),
                                  std::string("test:5000/Uppercase/lowercase:tag"),
                                  std::string("docker/Docker"),
                                  "domain/" + long_name + ":tag",
                                  "example.com/" + long_name,
                                  std::string("aa/asdf$$^/aa"),
                                  kHex,
                                  std::string("https://github.com/docker/docker"),
                                  std::string("-docker"),
                                  std::string("-docker/docker"),
                                  std::string("-docker.io/docker/docker"),
                                  std::string("docker-/docker"),
                                  std::string("docker///docker"),
                                  std::string("docker.io/docker///docker"),
                                  std::string("docker/"),
                                  std::string("/docker"),
                                  std::string("a//b"),
                                  std::string("[fc00::1]"),
                                  std::string("[fc00::1]:5000"),
                                  std::string("fc00::1:5000/debian"),
                                  std::string("[fe80::1%eth0]:5000/debian"),
                                  std::string("[fe80::1%@invalidzone]:5000/repo"),
                                  std::string("[2001:db8:3:4::192.0.2.33]:5000/debian"),
                                  std::string("[]/a"),
                                  std::string("[::1/a"),
                                  std::string("[::1]x/a"),
                                  std::string("____/____"),
                                  std::string("_docker/_docker"),
                                  std::string("dock..er/docker"),
                                  std::string("dock_.er/docker"),
                                  std::string("dock-.er/docker"),
                                  std::string("dock___er/docker"),
                                  std::string("a:"),
                                  std::string("a:-x"),
                                  std::string("a:.x"),
                                  std::string("a:b:c"),
                                  std::string("a:b/c"),
                                  "a:" + std::string(129, 't'),
                                  std::string("a b"),
                                  std::string("a\n"),
                                  std::string("a\0b", 3),
                                  std::string("h:/a"),
                                  std::string("h:x/a"),
                                  std::string("h:99999/a"),
                                  std::string("h:123456789012345678901/a"),
                                  std::string("a@"),
                                  "a@" + kDigest + "@" + kDigest,
                                  std::string("..:5/a"),
                                  std::string("../a"),
                                  std::string("a/.."),
                                  std::string("foo_bar.com/a"),
                                  std::string("é"),
                                  std::string("a.b-.c/x")}) {
    const auto parsed = Reference::parse(text);
    ASSERT_FALSE(parsed) << text << " -> " << parsed->canonical();
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument) << text;
    EXPECT_EQ(parsed.error().message().find('\n'), std::string::npos);
  }
}

TEST(Reference, HoldsTheLimits) {
  EXPECT_TRUE(Reference::parse("example.com/" + std::string(255, 'a') + ":tag"));
  EXPECT_TRUE(Reference::parse("a:" + std::string(128, 't')));
  EXPECT_TRUE(Reference::parse("h:65535/a"));
  EXPECT_FALSE(Reference::parse("h:65536/a"));
}

TEST(Reference, WithTagAndDigest) {
  const Reference debian = reference("debian:12");
  EXPECT_EQ(debian.with_tag("13").familiar(), "debian:13");
  EXPECT_EQ(debian.with_digest(Digest::parse(kDigest).value()).familiar(), "debian:12@" + kDigest);
  EXPECT_THROW((void)debian.with_tag("../x"), std::invalid_argument);
  EXPECT_TRUE(Reference::is_tag("v1.0_x-y"));
  EXPECT_FALSE(Reference::is_tag(""));
  EXPECT_FALSE(Reference::is_tag("a/b"));
}

}  // namespace
}  // namespace slipway::oci
