// kaniko's command line: that every flag of it is taken, and what those mean that something follows from.
#include "cli/executor/options.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace slipway::cli {
namespace {

registry::Environment environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

Result<ExecutorOptions> parse(const std::vector<std::string>& words,
                              const std::map<std::string, std::string>& variables = {}) {
  Arguments arguments;
  (void)TRY(parse_options(executor_options(), words, Positional::kMixed, "executor", arguments));
  return parse_executor(arguments, environment(variables));
}

ExecutorOptions parsed(std::vector<std::string> words, const std::map<std::string, std::string>& variables = {}) {
  words.insert(words.begin(), {"-d", "r.example/a"});
  auto options = parse(words, variables);
  EXPECT_TRUE(options.has_value()) << (options ? "" : options.error().message());
  return options ? *std::move(options) : ExecutorOptions{};
}

std::string error(const std::vector<std::string>& words, const std::map<std::string, std::string>& variables = {}) {
  auto options = parse(words, variables);
  EXPECT_FALSE(options.has_value());
  return options ? "" : options.error().message();
}

/// Every flag of spec/dockerfile.md section 14 with a value that is right for it; no value: a switch.
const std::vector<std::pair<std::string, std::string>>& flags() {
  static const std::vector<std::pair<std::string, std::string>> all = {
      {"dockerfile", "F"},
      {"context", "dir:///c"},
      {"context-sub-path", "sub"},
      {"bucket", "s3://b/k"},
      {"destination", "r.example/b"},
      {"no-push", ""},
      {"no-push-cache", ""},
      {"tar-path", "t.tar"},
      {"oci-layout-path", "layout"},
      {"digest-file", "d"},
      {"image-name-with-digest-file", "n"},
      {"image-name-tag-with-digest-file", "nt"},
      {"build-arg", "A=b"},
      {"label", "k=v"},
      {"annotation", "k=v"},
      {"secret", "id=s,env=S"},
      {"target", "a,b"},
      {"custom-platform", "linux/arm64"},
      {"customPlatform", "linux/arm64"},
      {"cache", ""},
      {"cache-repo", "oci:cache"},
      {"cache-dir", "/cache"},
      {"cache-ttl", "6h"},
      {"cache-copy-layers", ""},
      {"cache-run-layers", ""},
      {"compressed-caching", ""},
      {"compression", "gzip"},
      {"compression-level", "6"},
      {"image-format", "oci"},
      {"snapshot-mode", "redo"},
      {"snapshotMode", "time"},
      {"single-snapshot", ""},
      {"use-new-run", ""},
      {"reproducible", ""},
      {"ignore-path", "/x"},
      {"ignore-var-run", ""},
      {"whitelist-var-run", ""},
      {"cleanup", ""},
      {"pre-cleanup", ""},
      {"preserve-context", ""},
      {"materialize", ""},
      {"force", ""},
      {"kaniko-dir", "/k"},
      {"git", "branch=main"},
      {"insecure", ""},
      {"insecure-pull", ""},
      {"insecure-registry", "r.example"},
      {"skip-tls-verify", ""},
      {"skip-tls-verify-pull", ""},
      {"skip-tls-verify-registry", "r.example"},
      {"registry-certificate", "r.example=/c.pem"},
      {"registry-client-cert", "r.example=/c.pem,/k.pem"},
      {"registry-mirror", "m.example"},
      {"registry-map", "a=b;c=d"},
      {"skip-default-registry-fallback", ""},
      {"push-retry", "3"},
      {"image-download-retry", "3"},
      {"image-fs-extract-retry", "3"},
      {"push-ignore-immutable-tag-errors", ""},
      {"skip-push-permission-check", ""},
      {"credential-helpers", "env"},
      {"dryrun", ""},
      {"verbosity", "debug"},
      {"log-format", "text"},
      {"log-timestamp", ""},
      {"force-build-metadata", ""},
      {"skip-unused-stages", ""},
      {"tarPath", "t.tar"},
  };
  return all;
}

TEST(ExecutorOptions, EveryFlagOfKanikoIsTaken) {
  for (const auto& [name, value] : flags()) {
    if (value.empty()) {
      for (const std::string& word : {"--" + name, "--" + name + "=true", "--" + name + "=false", "--" + name + "=1"})
        parsed({word});
    } else {
      parsed({"--" + name + "=" + value});
      parsed({"--" + name, value});
    }
  }
}

TEST(ExecutorOptions, TheTableHasNothingThatKanikoHasNot) {
  std::set<std::string> known = {"username", "password", "password-stdin"};  // of its login
  for (const auto& [name, value] : flags()) known.insert(name);
  for (const auto& option : executor_options()) EXPECT_TRUE(known.contains(std::string(option.name))) << option.name;
}

TEST(ExecutorOptions, LettersAndDefaults) {
  const auto options = parsed({"-c", "dir:///w", "-f=x/Dockerfile", "-v", "warn", "-b", "bucket/key"});
  EXPECT_EQ(options.context, "gs://bucket/key");
  EXPECT_EQ(options.dockerfile, "x/Dockerfile");
  EXPECT_EQ(options.log.level, LogLevel::kWarn);
  const auto usual = parsed({});
  EXPECT_EQ(usual.context, "/workspace/");
  EXPECT_EQ(usual.dockerfile, "Dockerfile");
  EXPECT_TRUE(usual.push && usual.push_cache && usual.cache_run);
  EXPECT_FALSE(usual.cache || usual.cache_copy || usual.single_snapshot || usual.reproducible);
  EXPECT_EQ(usual.cache_seconds, 336 * 3600);
  EXPECT_EQ(usual.log, (LogSettings{}));
  EXPECT_FALSE(usual.compression_level.has_value());
}

TEST(ExecutorOptions, TheEnvironmentSaysWhatFlagsDo) {
  const auto options = parsed({"--registry-mirror", "m1.example/hub,m2.example"},
                              {{"KANIKO_REGISTRY_MIRROR", "m3.example"},
                               {"KANIKO_REGISTRY_MAP", "gcr.io=g.example; quay.io=q.example/x"},
                               {"KANIKO_NO_PUSH", "true"},
                               {"FF_KANIKO_COPY_AS_ROOT", "maybe"},
                               {"FF_KANIKO_NOT_INVENTED_YET", "1"}});
  EXPECT_FALSE(options.push);
  const std::map<std::string, std::vector<std::string>> mirrors = {
      {"docker.io", {"m1.example/hub", "m2.example", "m3.example"}},
      {"gcr.io", {"g.example"}},
      {"quay.io", {"q.example/x"}}};
  EXPECT_EQ(options.registries.mirrors, mirrors);
  EXPECT_TRUE(parsed({"--no-push"}, {{"KANIKO_NO_PUSH", "0"}}).push) << "as kaniko: the variable wins";
  EXPECT_NE(error({"-d", "a"}, {{"KANIKO_NO_PUSH", "perhaps"}}).find("KANIKO_NO_PUSH"), std::string::npos);
}

TEST(ExecutorOptions, Registries) {
  const auto options = parsed({"--registry-map=index.docker.io=m.example;gcr.io=n.example/p",
                               "--insecure-registry=A.example:5000", "--registry-client-cert=r.example=/c.pem,/k.pem",
                               "--skip-default-registry-fallback", "--registry-certificate=r.example=/ca.pem"});
  EXPECT_EQ(options.registries.mirrors.at("docker.io"), std::vector<std::string>{"m.example"});
  EXPECT_EQ(options.registries.mirrors.at("gcr.io"), std::vector<std::string>{"n.example/p"});
  EXPECT_EQ(options.registries.insecure, std::vector<std::string>{"a.example:5000"});
  EXPECT_EQ(options.registries.client_certificates.at("r.example"),
            std::pair(std::string("/c.pem"), std::string("/k.pem")));
  EXPECT_EQ(options.registries.certificates.at("r.example"), "/ca.pem");
  EXPECT_FALSE(options.registries.fallback);
}

TEST(ExecutorOptions, OldNamesAreTakenAndTold) {
  const auto options = parsed({"--customPlatform", "linux/arm64", "--snapshotMode=redo", "--tarPath", "t.tar",
                               "--whitelist-var-run=false", "--force-build-metadata", "--skip-unused-stages"});
  EXPECT_EQ(options.platform, "linux/arm64");
  EXPECT_EQ(options.tar_path, "t.tar");
  EXPECT_EQ(options.notes.size(), 6u);
  EXPECT_EQ(options.notes[0], "Flag --customPlatform is deprecated. Use: --custom-platform");
}

TEST(ExecutorOptions, ListsOfTargets) {
  EXPECT_EQ(parsed({"--target=a,b", "--target", "c", "--target=a"}).targets, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(ExecutorOptions, Git) {
  const auto git = parsed({"--git=branch=dev,single-branch=true,depth=1", "--git", "recurse-submodules=true",
                           "--git=insecure-skip-tls=1"})
                       .git;
  EXPECT_EQ(git.branch, "dev");
  EXPECT_TRUE(git.submodules && git.any_certificate);
  EXPECT_NE(error({"-d", "a", "--git", "branch"}).find("key=value"), std::string::npos);
  EXPECT_NE(error({"-d", "a", "--git", "depth=deep"}).find("depth"), std::string::npos);
  EXPECT_NE(error({"-d", "a", "--git", "ref=x"}).find("does not know"), std::string::npos);
}

TEST(ExecutorOptions, WhatIsWrong) {
  EXPECT_EQ(error({}), "you must provide --destination, or use --no-push");
  EXPECT_NE(error({"--no-push", "--cache"}).find("specify cache repo with --cache-repo"), std::string::npos);
  EXPECT_TRUE(parse({"--no-push", "--cache", "--no-push-cache"}).has_value());
  EXPECT_NE(error({"--no-push", "--image-name-with-digest-file=f"}).find("you must provide --destination"),
            std::string::npos);
  for (const auto& words : std::vector<std::vector<std::string>>{{"--compression=lzma"},
                                                                 {"--compression-level=10"},
                                                                 {"--compression-level=x"},
                                                                 {"--image-format=sif"},
                                                                 {"--compression=zstd", "--image-format=docker"},
                                                                 {"--snapshot-mode=none"},
                                                                 {"--cache-ttl=soon"},
                                                                 {"--cache-ttl=-1h"},
                                                                 {"--verbosity=loud"},
                                                                 {"--log-format=xml"},
                                                                 {"--push-retry=-1"},
                                                                 {"--push-retry=99999999999999999999"},
                                                                 {"--registry-map=a"},
                                                                 {"--registry-certificate=r"},
                                                                 {"--registry-client-cert=r=c"},
                                                                 {"--label=k"},
                                                                 {"--cache=perhaps"},
                                                                 {"--custom-platform=/"},
                                                                 {"--context="}}) {
    auto all = words;
    all.insert(all.begin(), {"-d", "r.example/a"});
    auto options = parse(all);
    ASSERT_FALSE(options.has_value()) << words[0];
    EXPECT_EQ(options.error().code(), Code::kUsage) << words[0];
  }
}

}  // namespace
}  // namespace slipway::cli
