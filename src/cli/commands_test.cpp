// The table of all commands: what parses, what help and completion make of it. Nothing here opens a store.
#include "cli/commands.hpp"

#include <gtest/gtest.h>

#include <set>

#include "cli/build_request.hpp"
#include "cli/completion.hpp"
#include "cli/help.hpp"
#include "cli/program.hpp"
#include "sys/child.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

TEST(Commands, TableIsSound) {
  std::set<std::string_view> names;
  for (const Command* command : all_commands()) {
    EXPECT_TRUE(names.insert(command->name).second) << command->name;
    EXPECT_FALSE(command->summary.empty() || command->summary.ends_with('.')) << command->name;
    EXPECT_GE(command->examples.size(), 3u) << command->name;
    EXPECT_LE(command->examples.size(), 5u) << command->name;
    EXPECT_NE(command->run, nullptr) << command->name;
    std::set<std::string_view> options;
    std::set<char> letters;
    std::vector<Option> all = command->options;
    all.insert(all.end(), global_options().begin(), global_options().end());
    for (const auto& option : all) {
      EXPECT_TRUE(options.insert(option.name).second) << command->name << " --" << option.name;
      EXPECT_TRUE(option.letter == 0 || letters.insert(option.letter).second) << command->name << " -" << option.letter;
      EXPECT_EQ(option.takes == Takes::kNothing, option.value.empty()) << command->name << " --" << option.name;
      EXPECT_FALSE(option.help.empty() || option.help.ends_with('.')) << command->name << " --" << option.name;
    }
  }
  for (const char* name :
       {"build",      "push", "pull",   "tag",      "images",   "rmi",      "inspect", "history", "df",
        "gc",         "fsck", "import", "load",     "save",     "login",    "logout",  "doctor",  "version",
        "completion", "help", "why",    "registry", "manifest", "executor", "warmer"})
    EXPECT_TRUE(names.contains(name)) << name;
}

struct Ran {
  int code = 0;
  std::string out, err;
};
Ran run(const std::vector<std::string>& words) {
  auto pipe = sys::make_pipe().value();
  Ran ran;
  ran.code = run_program(Process{.words = words,
                                 .environment = [](const std::string&) { return std::optional<std::string>(); },
                                 .standard_output = pipe.write.release(),
                                 .say = [&](std::string_view text) { ran.err += text; }});
  ran.out = sys::read_all(pipe.read.get(), 1 << 20).value();
  return ran;
}

TEST(Commands, HelpVersionAndUsage) {
  EXPECT_EQ(run({"version"}).out, fmt::format("slipway {} {}\n", SLIPWAY_VERSION, oci::Platform::host().text()));
  EXPECT_EQ(run({"version", "--format", "{{.Version}}"}).out, SLIPWAY_VERSION "\n");
  EXPECT_EQ(run({"--version"}).out, run({"version"}).out);
  EXPECT_EQ(run({}).out, help_page(all_commands()));
  EXPECT_EQ(run({"help", "gc"}).out, run({"gc", "--help"}).out);
  const Ran wrong = run({"build", "--taget", "x", "."});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.out, "");
  EXPECT_EQ(wrong.err,
            "ERROR: unknown option --taget of slipway build; did you mean --target?\n"
            "  hint: 'slipway build --help' lists the options\n");
  EXPECT_EQ(run({"help", "biuld"}).code, 2);
  EXPECT_EQ(run({"build"}).code, 2);
  EXPECT_EQ(run({"build", "-o", "type=nope", "."}).code, 2);
}

TEST(Commands, StandardOutputThatIsFullIsAFailure) {
  auto full = sys::open("/dev/full", O_WRONLY);
  if (!full) GTEST_SKIP() << "no /dev/full here";
  std::string err;
  const int code = run_program(Process{.words = {"help"},
                                       .environment = [](const std::string&) { return std::optional<std::string>(); },
                                       .standard_output = full->release(),
                                       .say = [&](std::string_view text) { err += text; }});
  EXPECT_EQ(code, 1);
  EXPECT_TRUE(err.contains("No space left on device")) << err;
}

TEST(Commands, HelpPageOfOne) {
  EXPECT_EQ(run({"tag", "--help"}).out, R"(Give an image a further name.

Usage: slipway tag IMAGE NAME[:TAG]

Examples:
  slipway tag app:1 registry.example/team/app:1  # a name to push under
  slipway tag 4f53cda18c2b app:old               # by image id
  slipway tag app app:stable                     # app:latest is also app:stable

Global options:
      --root DIR              the store (SLIPWAY_ROOT; default /var/lib/slipway for root,
                              ~/.local/share/slipway otherwise)
  -D, --debug                 say more about errors
  -h, --help                  show this help

Exit codes: 0 done (all output is written), 1 it failed, 2 the command line is wrong,
130 or 143 stopped by a signal.
)");
}

TEST(Commands, CompletionScriptsAreValidForTheirShells) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = completion_script(shell, all_commands());
    ASSERT_TRUE(script);
    for (const Command* command : all_commands()) EXPECT_TRUE(script->contains(command->name));
    EXPECT_TRUE(script->contains("--max-size") || script->contains("-l max-size"));
    const auto checked = sys::run({.argv = {shell, "-n", "/dev/stdin"}, .environment = {"PATH=/usr/bin:/bin"}}, *script,
                                  Cancel(), 30'000);
    if (!checked) continue;  // this shell is not installed here
    EXPECT_TRUE(checked->status.ok()) << shell << ": " << checked->err;
  }
  EXPECT_FALSE(completion_script("tcsh", all_commands()));
}

// --- the build command's line
Result<build::Request> request_of(std::vector<std::string> words,
                                  const std::map<std::string, std::string>& variables = {}) {
  words.insert(words.begin(), "build");
  const auto line = TRY(parse_command_line(all_commands(), words));
  return build_request(line.arguments, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}
std::string error_of(const std::vector<std::string>& words) {
  const auto request = request_of(words);
  if (request) return "no error";
  EXPECT_EQ(request.error().code(), Code::kUsage) << request.error().what();
  return request.error().what();
}
using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(BuildRequest, EverythingAtOnce) {
  const auto request =
      request_of({"-t",
                  "app:1",
                  "-tteam/app",
                  "-f",
                  "d/Dockerfile",
                  "--build-arg",
                  "A=1",
                  "--build-arg",
                  "FROM_ENV",
                  "--build-arg",
                  "MISSING",
                  "--target",
                  "test",
                  "--no-cache",
                  "--pull",
                  "--ulimit",
                  "nofile=1024:2048",
                  "--network=none",
                  "--add-host",
                  "db:10.0.0.1",
                  "--add-host=six=[::1]",
                  "--shm-size",
                  "128m",
                  "--label",
                  "a=b=c",
                  "--label",
                  "d",
                  "ctx"},
                 {{"FROM_ENV", "x"}, {"http_proxy", "http://p"}, {"NO_PROXY", "a"}, {"SSL_CERT_FILE", "/ca"}});
  ASSERT_TRUE(request) << request.error().what();
  EXPECT_EQ(request->context, "ctx");
  EXPECT_EQ(request->dockerfile, "d/Dockerfile");
  EXPECT_EQ(request->build_args, (Pairs{{"A", "1"}, {"FROM_ENV", "x"}}));
  EXPECT_EQ(request->proxies, (Pairs{{"http_proxy", "http://p"}, {"NO_PROXY", "a"}}));
  EXPECT_EQ(request->labels, (Pairs{{"a", "b=c"}, {"d", ""}}));
  ASSERT_EQ(request->tags.size(), 2u);
  EXPECT_EQ(request->tags[1].canonical(), "docker.io/team/app:latest");
  EXPECT_TRUE(request->no_cache && request->pull && request->outputs.empty());
  EXPECT_EQ(request->network, sandbox::NetworkMode::kNone);
  EXPECT_EQ(request->extra_hosts, (Pairs{{"db", "10.0.0.1"}, {"six", "::1"}}));
  ASSERT_EQ(request->ulimits.size(), 1u);
  EXPECT_EQ(request->ulimits[0].soft, 1024);
  EXPECT_EQ(request->ulimits[0].hard, 2048);
  EXPECT_EQ(request->shm_bytes, 128 << 20);
  EXPECT_EQ(request->target, "test");
  EXPECT_EQ(request->ca_bundle, "/ca");
}

TEST(BuildRequest, SourceDateEpochIsABuildArgument) {
  const auto from_environment = request_of({"."}, {{"SOURCE_DATE_EPOCH", "1700000000"}});
  ASSERT_TRUE(from_environment);
  EXPECT_EQ(from_environment->source_date_epoch, 1'700'000'000);
  EXPECT_EQ(from_environment->build_args, (Pairs{{"SOURCE_DATE_EPOCH", "1700000000"}}));
  const auto given = request_of({"--build-arg", "SOURCE_DATE_EPOCH=1", "."}, {{"SOURCE_DATE_EPOCH", "2"}});
  ASSERT_TRUE(given);
  EXPECT_EQ(given->source_date_epoch, 1);
  EXPECT_EQ(given->build_args.size(), 1u);
  EXPECT_FALSE(request_of({"."}, {{"SOURCE_DATE_EPOCH", "yesterday"}}));
  EXPECT_TRUE(request_of({"."}, {{"SOURCE_DATE_EPOCH", "253402300799"}}));
  EXPECT_FALSE(request_of({"."}, {{"SOURCE_DATE_EPOCH", "253402300800"}}));
}

TEST(BuildRequest, Outputs) {
  using Type = build::Output::Type;
  const auto outputs = [](const std::vector<std::string>& words) {
    std::vector<std::string> all = words;
    all.emplace_back(".");
    const auto request = request_of(all);
    EXPECT_TRUE(request) << request.error().what();
    std::vector<std::pair<Type, bool>> found;
    for (const auto& output : request->outputs) found.emplace_back(output.type, output.push);
    return found;
  };
  using List = std::vector<std::pair<Type, bool>>;
  EXPECT_EQ(outputs({}), List());
  EXPECT_EQ(outputs({"-o", "out", "-o", "type=oci,dest=x"}), (List{{Type::kLocal, false}, {Type::kOci, false}}));
  EXPECT_EQ(outputs({"--load"}), (List{{Type::kImage, false}}));
  EXPECT_EQ(outputs({"--push", "-t", "a"}), (List{{Type::kImage, true}}));
  EXPECT_EQ(outputs({"--push", "-t", "a", "-o", "out"}), (List{{Type::kLocal, false}, {Type::kImage, true}}));
  EXPECT_EQ(outputs({"--push", "-t", "a", "-o", "type=image"}), (List{{Type::kImage, true}}));
  EXPECT_EQ(outputs({"-o", "type=registry,name=b"}), (List{{Type::kImage, true}}));
  EXPECT_EQ(error_of({"-o", "-", "-o", "type=oci", "."}), "only one --output can go to standard output");
  EXPECT_EQ(error_of({"-o", "type=registry", "."}), "there is no name to push under");
  EXPECT_EQ(error_of({"-t", "a:1", "-o", "type=registry,push-by-digest=true", "."}),
            "option --tag \"a:1\" has a tag and can not be pushed by digest");
  EXPECT_TRUE(request_of({"-t", "a", "-o", "type=registry,push-by-digest=true", "."}));
}

TEST(BuildRequest, FormatsThatNeedOciTypesGetThem) {
  const auto request = request_of({"-o", "type=image,oci-mediatypes=false,compression=zstd", "."});
  ASSERT_TRUE(request);
  EXPECT_EQ(request->outputs[0].format.family, oci::Family::kOci);
  EXPECT_EQ(request->notes,
            std::vector<std::string>{"oci-mediatypes=false is not kept: compression=zstd needs OCI media types"});
  const auto annotated = request_of({"-o", "type=image,oci-mediatypes=false", "--annotation", "a=b", "."});
  EXPECT_EQ(annotated->outputs[0].format.family, oci::Family::kOci);
  EXPECT_EQ(annotated->annotations.size(), 1u);
  const auto docker = request_of({"-o", "type=image,oci-mediatypes=false", "."});
  EXPECT_EQ(docker->outputs[0].format.family, oci::Family::kDocker);
  EXPECT_TRUE(docker->notes.empty());
}

TEST(BuildRequest, RewriteTimestampIsOneAnswer) {
  EXPECT_TRUE(request_of({"."})->clamp_times);
  EXPECT_FALSE(request_of({"-o", "type=oci,rewrite-timestamp=false", "."})->clamp_times);
  EXPECT_EQ(request_of({"-o", "type=oci,rewrite-timestamp=true", "."})->notes.size(), 1u) << "there is no epoch";
  EXPECT_TRUE(request_of({"-o", "type=oci,rewrite-timestamp=true", "."}, {{"SOURCE_DATE_EPOCH", "1"}})->notes.empty());
  EXPECT_NE(
      error_of({"-o", "type=oci,dest=a,rewrite-timestamp=true", "-o", "type=oci,dest=b,rewrite-timestamp=false", "."}),
      "no error");
}

TEST(BuildRequest, StagesThatAreRunAgain) {
  EXPECT_EQ(request_of({"--no-cache-filter", "a,b", "--no-cache-filter=c", "."})->no_cache_stages,
            (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(error_of({"--no-cache", "--no-cache-filter=a", "."}),
            "options --no-cache and --no-cache-filter exclude each other");
}

TEST(BuildRequest, WhatChangesNothingIsTold) {
  const auto request =
      request_of({"--memory=1g", "--cache-from=a", "--cache-to", "type=inline", "--builder", "b", "."});
  ASSERT_TRUE(request) << request.error().what();
  EXPECT_EQ(request->notes.size(), 2u);
  EXPECT_EQ(request->cache_from.size(), 1u);
  EXPECT_EQ(request->cache_to.size(), 1u);
  EXPECT_TRUE(request_of({"--build-arg=BUILDKIT_INLINE_CACHE=1", "."})->cache_to.at(0).in_image);
  EXPECT_TRUE(
      request_of({"."},
                 {{"DOCKER_BUILDKIT", "0"}, {"BUILDKIT_COLORS", "run=green"}, {"BUILDX_NO_DEFAULT_ATTESTATIONS", "1"}})
          ->notes.empty());
}

TEST(BuildRequest, Contexts) {
  for (const auto* context : {"-", "https://example.com/x.git#v1:docs", "git@example.com:x", "."})
    EXPECT_EQ(request_of({context})->context, context);
  const auto request = request_of({"--build-context", "Base=docker-image://alpine", "--build-context=src=../src", "."});
  ASSERT_EQ(request->contexts.size(), 2u);
  EXPECT_EQ(request->contexts[0].name, "base");
  EXPECT_EQ(request->contexts[0].value, "alpine");
  EXPECT_EQ(request->contexts[1].value, "../src");
  EXPECT_EQ(error_of({"-f", "-", "-"}), "can't use stdin for both build context and dockerfile");
  EXPECT_EQ(error_of({""}), "the build context is empty");
  EXPECT_EQ(error_of({"--build-context", "x", "."}), "option --build-context is NAME=VALUE, not \"x\"");
  EXPECT_EQ(error_of({"--build-context", "context=x", "."}), "option --build-context: the name context is reserved");
}

TEST(BuildRequest, StepOptions) {
  const auto request = request_of({"--ssh",
                                   "default",
                                   "--ssh",
                                   "deploy=/k/one,/k/two",
                                   "--allow",
                                   "network.host",
                                   "--allow=security.insecure",
                                   "--allow",
                                   "device=vendor.com/dev=1,alias=mine",
                                   "--allow",
                                   "fs.read=/x",
                                   "--allow",
                                   "buildx.local.delete",
                                   "--step-timeout",
                                   "1m30s",
                                   "--step-log-limit",
                                   "1MiB",
                                   "--add-host",
                                   "me:host-gateway",
                                   "--cgroup-parent",
                                   "ci//job/",
                                   "--cdi-spec-dir",
                                   "/c",
                                   "."},
                                  {{"SSH_AUTH_SOCK", "/run/agent"}});
  ASSERT_TRUE(request);
  ASSERT_EQ(request->ssh.size(), 2u);
  EXPECT_EQ(request->ssh[0].id, "default");
  EXPECT_EQ(request->ssh[0].paths, std::vector<std::string>{"/run/agent"});
  EXPECT_EQ(request->ssh[1].paths, (std::vector<std::string>{"/k/one", "/k/two"}));
  EXPECT_TRUE(request->entitlements.network_host && request->entitlements.security_insecure);
  EXPECT_FALSE(request->entitlements.all_devices);
  EXPECT_EQ(request->entitlements.devices.at("mine"), "vendor.com/dev=1");
  EXPECT_EQ(request->step_limits.timeout_ms, 90'000);
  EXPECT_EQ(request->step_limits.log_bytes, 1 << 20);
  EXPECT_EQ(request->extra_hosts, (Pairs{{"me", "host-gateway"}}));
  EXPECT_EQ(request->cgroup_parent, "/ci/job");
  EXPECT_EQ(request->cdi_directories, std::vector<std::string>{"/c"});
  const auto plain = request_of({"--shm-size", "0", "."}, {{"BUILDKIT_STEP_LOG_MAX_SIZE", "-1"}});
  EXPECT_EQ(plain->shm_bytes, 64 << 20);
  EXPECT_EQ(plain->step_limits.log_bytes, 0);
  EXPECT_EQ(plain->step_limits.timeout_ms, 0);
  EXPECT_EQ(plain->cdi_directories.size(), 2u);
  EXPECT_EQ(request_of({"."})->step_limits.log_bytes, 2 << 20);
}

TEST(BuildRequest, MistakesInStepOptions) {
  EXPECT_EQ(error_of({"--ssh", "default", "."}), "option --ssh default: there is no agent: SSH_AUTH_SOCK is not set");
  EXPECT_EQ(error_of({"--ssh", "a=/k,,/l", "."}), "option --ssh \"a=/k,,/l\" has an empty path");
  EXPECT_EQ(error_of({"--allow", "security.insecur", "."}),
            "option --allow: unknown entitlement \"security.insecur\"; did you mean security.insecure?");
  EXPECT_EQ(error_of({"--allow", "fs", "."}), "option --allow: unknown entitlement \"fs\"");
  EXPECT_EQ(error_of({"--allow", "device=a,b=c", "."}),
            "option --allow \"device=a,b=c\": unknown device config key \"b=c\"");
  EXPECT_EQ(error_of({"--step-timeout", "-5s", "."}),
            "option --step-timeout is a duration as 90s or 1h30m, not \"-5s\"");
  EXPECT_EQ(error_of({"--step-timeout", "5", "."}), "option --step-timeout is a duration as 90s or 1h30m, not \"5\"");
  EXPECT_EQ(error_of({"--add-host", "me:host-gateway", "--network", "none", "."}),
            "option --add-host me:host-gateway: with --network none no step reaches this machine");
  EXPECT_EQ(error_of({"--step-log-limit", "x", "."}), "option --step-log-limit is a size as 2MiB, not \"x\"");
  EXPECT_EQ(error_of({"--cgroup-parent", "a/../b", "."}),
            "option --cgroup-parent \"a/../b\": a control group is named from the top, without \"..\"");
  EXPECT_EQ(error_of({"--cgroup-parent", "/", "."}), "option --cgroup-parent \"/\": it names no control group");
}

TEST(BuildRequest, Platforms) {
  const auto texts = [](std::vector<std::string> words, const std::map<std::string, std::string>& variables = {}) {
    words.emplace_back(".");
    std::vector<std::string> out;
    const auto request = request_of(std::move(words), variables);
    for (const auto& platform : request->platforms) out.push_back(platform.text());
    return out;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts({}), Texts{});
  EXPECT_EQ(texts({"--platform="}), Texts{});
  EXPECT_EQ(texts({"--platform", "linux/arm64/v8, arm", "--platform=linux/amd64/v2,aarch64"}),
            (Texts{"linux/arm64", "linux/arm/v7", "linux/amd64/v2"}));
  EXPECT_EQ(texts({"--platform", "local"}), Texts{oci::Platform::host().text()});
  EXPECT_EQ(texts({}, {{"DOCKER_DEFAULT_PLATFORM", "linux/arm64,linux/386"}}), (Texts{"linux/arm64", "linux/386"}));
  EXPECT_EQ(texts({"--platform", "linux/arm"}, {{"DOCKER_DEFAULT_PLATFORM", "linux/arm64"}}), Texts{"linux/arm/v7"});
  EXPECT_FALSE(request_of({"."}, {{"DOCKER_DEFAULT_PLATFORM", "a/b/c/d"}}));
}

TEST(BuildRequest, Mistakes) {
  EXPECT_EQ(error_of({"--push", "."}), "there is no name to push under");
  EXPECT_EQ(error_of({"--network", "x", "."}), "option --network is default, none or host, not \"x\"");
  EXPECT_EQ(error_of({"--ulimit", "nofil=1", "."}), "option --ulimit does not know \"nofil\"; did you mean nofile?");
  EXPECT_EQ(error_of({"--ulimit", "nofile=2:1", "."}),
            "option --ulimit \"nofile=2:1\": the soft limit is above the hard one");
  EXPECT_EQ(error_of({"--add-host", "a b:1.2.3.4", "."}), "option --add-host: \"a b\" is no host name");
  EXPECT_EQ(error_of({"--add-host", "a:1.2.3.4\n5", "."}),
            "option --add-host \"a:1.2.3.4\\n5\": \"1.2.3.4\\n5\" is no IP address");
  EXPECT_EQ(error_of({"--platform", "linux/amd64,penguin", "."}).substr(0, 29), "option --platform: \"penguin\" ");
  EXPECT_EQ(error_of({"--platform", ",", "."}).substr(0, 21), "option --platform: \"\"");
  EXPECT_NE(error_of({"-t", "Bad Name", "."}), "no error");
}

}  // namespace
}  // namespace slipway::cli
