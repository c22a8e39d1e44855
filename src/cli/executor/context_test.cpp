#include "cli/executor/context.hpp"

#include <gtest/gtest.h>

#include <map>

#include "cli/executor/failure.hpp"
#include "cli/s3_url.hpp"

namespace slipway::cli {
namespace {

constexpr Timestamp kTime{1'369'353'600, 0};  // 2013-05-24T00:00:00Z

Result<ExecutorContext> parse(const ExecutorOptions& options, const std::map<std::string, std::string>& variables) {
  return executor_context(
      options,
      [&](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
      },
      kTime);
}
ExecutorContext of(const std::string& text, const std::map<std::string, std::string>& variables = {},
                   const ExecutorGit& git = {}) {
  ExecutorOptions options;
  options.context = text;
  options.git = git;
  auto out = parse(options, variables);
  EXPECT_TRUE(out.has_value()) << (out ? "" : out.error().message());
  return out ? *std::move(out) : ExecutorContext{};
}
Error error(const std::string& text, const std::map<std::string, std::string>& variables = {}) {
  ExecutorOptions options;
  options.context = text;
  auto out = parse(options, variables);
  EXPECT_FALSE(out.has_value()) << text;
  return out ? Error(Code::kInternal, "") : std::move(out).error();
}

TEST(ExecutorContext, DirectoriesAndArchives) {
  EXPECT_EQ(of("/src").context, "/src");
  EXPECT_EQ(of("dir:///src").context, "/src");
  EXPECT_EQ(of("tar://stdin").context, "-");
  EXPECT_EQ(of("tar://stdin").archive, "");
  EXPECT_EQ(of("tar:///a/c.tar.gz").archive, "/a/c.tar.gz");
  EXPECT_EQ(of("https://h.example/c.tar.gz").context, "https://h.example/c.tar.gz");
}

TEST(ExecutorContext, TheSubPathIsForPrefixes) {
  ExecutorOptions options;
  options.sub_path = "a/b";
  options.context = "tar://stdin";
  EXPECT_EQ(parse(options, {})->directory, "a/b");
  options.context = "/src";
  EXPECT_EQ(parse(options, {})->directory, "");
  EXPECT_NE(parse(options, {})->note, "");
}

TEST(ExecutorContext, GitRepositories) {
  const std::string tail = "?keep-git-dir=true&submodules=false";
  const auto plain = of("git://h.example/team/app.git");
  EXPECT_TRUE(plain.git.always);
  EXPECT_EQ(plain.context, "https://h.example/team/app.git" + tail);
  EXPECT_EQ(plain.git.authorization, "");
  EXPECT_EQ(of("git://h.example/app#refs/heads/a b").context, "https://h.example/app" + tail + "&ref=refs/heads/a%20b");
  EXPECT_EQ(of("git://h.example/app#refs/heads/x#0123").context, "https://h.example/app" + tail + "&ref=0123");
  EXPECT_EQ(of("git://h.example/app#refs/heads/x", {{"GIT_PULL_METHOD", "http"}}).context,
            "http://h.example/app" + tail + "&ref=refs/heads/x");
  EXPECT_EQ(of("git://h.example/app", {}, {.branch = "dev", .submodules = true}).context,
            "https://h.example/app?keep-git-dir=true&submodules=true&ref=dev");
}

TEST(ExecutorContext, GitCredentialsAreInNoAddress) {
  const auto inside = of("git://joe:s%2Fcret@h.example/app.git");
  EXPECT_EQ(inside.context.find("s%2Fcret"), std::string::npos);
  EXPECT_EQ(inside.git.authorization, "Basic am9lOnMvY3JldA==");  // joe:s/cret
  EXPECT_EQ(of("git://h.example/app", {{"GIT_TOKEN", "t"}, {"GIT_PASSWORD", "p"}}).git.authorization, "Basic dDo=");
  EXPECT_EQ(of("git://h.example/app", {{"GIT_USERNAME", "u"}, {"GIT_PASSWORD", "p"}}).git.authorization, "Basic dTpw");
}

TEST(ExecutorContext, WhatIsRefusedNamesTheWayOut) {
  EXPECT_EQ(error("gs://bucket/c.tar.gz").code(), Code::kUnimplemented);
  EXPECT_NE(error("gs://bucket/c.tar.gz").hint().find("tar://stdin"), std::string::npos);
  EXPECT_NE(error("s3://bucket/c.tar.gz").hint().find("tar://stdin"), std::string::npos);
  const std::string blob = "https://me.blob.core.windows.net/c/ctx.tar.gz";
  EXPECT_EQ(of(blob).context, blob) << "a public one";
  EXPECT_NE(error(blob, {{"AZURE_STORAGE_ACCESS_KEY", "k"}}).hint().find("generate-sas"), std::string::npos);
  EXPECT_EQ(of(blob + "?sig=x", {{"AZURE_STORAGE_ACCESS_KEY", "k"}}).context, blob + "?sig=x");
  EXPECT_NE(error("ftp://x").message().find("please use one of the following"), std::string::npos);
}

// The example of "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
TEST(S3Url, IsSignedAsAmazonsExample) {
  const S3Access access{.key_id = "AKIAIOSFODNN7EXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
  EXPECT_EQ(signed_s3_url(access, "examplebucket", "test.txt", kTime, 86400).value(),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
            "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-"
            "Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(S3Url, EndpointsAndPathStyle) {
  S3Access access{.key_id = "k", .secret = "s", .session_token = "a+b", .region = "eu-west-1"};
  EXPECT_TRUE(signed_s3_url(access, "b", "x y/z", kTime, 60)
                  .value()
                  .starts_with("https://b.s3.eu-west-1.amazonaws.com/x%20y/z?"));
  access.endpoint = "http://127.0.0.1:9000/";
  access.path_style = true;
  const std::string url = signed_s3_url(access, "b", "k", kTime, 60).value();
  EXPECT_TRUE(url.starts_with("http://127.0.0.1:9000/b/k?"));
  EXPECT_NE(url.find("X-Amz-Security-Token=a%2Bb"), std::string::npos);
  EXPECT_TRUE(
      signed_s3_url(access, "my.bucket", "k", kTime, 60).value().starts_with("http://127.0.0.1:9000/my.bucket/"));
  EXPECT_FALSE(signed_s3_url(access, "../x", "k", kTime, 60).has_value());
  access.region = "eu/../..";
  EXPECT_FALSE(signed_s3_url(access, "b", "k", kTime, 60).has_value());
}

TEST(ExecutorFailure, TextAndExitCode) {
  const Error failed(Code::kFailedPrecondition,
                     "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3");
  EXPECT_EQ(executor_exit_code(failed), 3);
  EXPECT_EQ(executor_exit_code(Error(Code::kNotFound, "no such thing")), 1);
  EXPECT_EQ(executor_exit_code(Error(Code::kNotFound, "did not complete successfully: exit code: 999")), 1);
  EXPECT_EQ(executor_failure_text(Error(Code::kNotFound, "no such thing").with_hint("look elsewhere"),
                                  "error building image"),
            "error building image: no such thing\n  hint: look elsewhere\n");
  EXPECT_EQ(usage_text(Error(Code::kUsage, "bad")), "Error: bad\n  hint: 'executor --help' lists the flags\n");
}

}  // namespace
}  // namespace slipway::cli
