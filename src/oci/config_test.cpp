#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/image.hpp"

namespace slipway::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using Strings = std::vector<std::string>;

const std::string kD1 = "sha256:" + std::string(64, '1');

ImageConfigView full() {
  ImageConfigView view;
  view.created = Timestamp{1'700'000'000, 120'000'000};
  view.author = "A <a@b.c>";
  view.platform = {"linux", "arm64", "v8", "1", {"f"}};
  view.config = {
      .user = "app",
      .exposed_ports = {"80/tcp", "53/udp"},
      .env = {"PATH=/bin", "A=<b> & c"},
      .entrypoint = Strings{"/x"},
      .cmd = Strings{"-c", "echo \"hi\""},
      .healthcheck = Healthcheck{{"CMD", "true"}, 30'000'000'000, 1'000'000'000, 2'000'000'000, 3'000'000'000, 3},
      .args_escaped = true,
      .volumes = {"/data"},
      .working_dir = "/w",
      .labels = {{"b", "2"}, {"a", "1"}},
      .stop_signal = "SIGINT",
      .on_build = {"RUN x"},
      .shell = {"/bin/sh", "-c"}};
  view.diff_ids = {{Digest::parse(kD1).value()}};
  view.history = {{Timestamp{1'700'000'000, 0}, "RUN x", "me", "buildkit.dockerfile.v0", false},
                  {std::nullopt, "ENV A=1", "", "", true}};
  return view;
}

std::string error_of(std::string raw) {
  const auto config = ImageConfig::parse(std::move(raw));
  return config ? "parsed" : config.error().message();
}

RunConfig run_config(std::string_view json) {
  return ImageConfig::parse(R"({"config":)" + std::string(json) + "}").value().view().config;
}

// The inner `config` is what Go's json.Marshal made of dockerspec.DockerOCIImageConfig.
TEST(ImageConfig, GoldenBytesOfOurs) {
  const ImageConfig made = ImageConfig::make(full());
  EXPECT_EQ(
      made.raw(),
      R"({"architecture":"arm64","author":"A \u003ca@b.c\u003e","config":)"
      R"({"User":"app","ExposedPorts":{"53/udp":{},"80/tcp":{}},"Env":["PATH=/bin","A=\u003cb\u003e \u0026 c"],)"
      R"("Entrypoint":["/x"],"Cmd":["-c","echo \"hi\""],"Volumes":{"/data":{}},"WorkingDir":"/w",)"
      R"("Labels":{"a":"1","b":"2"},"StopSignal":"SIGINT","ArgsEscaped":true,"Healthcheck":{"Test":["CMD","true"],)"
      R"("Interval":30000000000,"Timeout":1000000000,"StartPeriod":2000000000,"StartInterval":3000000000,"Retries":3},)"
      R"("OnBuild":["RUN x"],"Shell":["/bin/sh","-c"]},"created":"2023-11-14T22:13:20.12Z","history":[)"
      R"({"created":"2023-11-14T22:13:20Z","created_by":"RUN x","author":"me","comment":"buildkit.dockerfile.v0"},)"
      R"({"created_by":"ENV A=1","empty_layer":true}],"os":"linux","os.features":["f"],"os.version":"1","rootfs":)"
      R"({"type":"layers","diff_ids":[")" +
          kD1 + R"("]},"variant":"v8"})");
  const ImageConfig again = ImageConfig::parse(made.raw()).value();
  EXPECT_EQ(again.view(), made.view());
  EXPECT_EQ(again.raw(), made.raw());
  EXPECT_EQ(again.digest(), Digest::of(made.raw()));
}

TEST(ImageConfig, GoldenBytesOfTheLeast) {
  const ImageConfig made = ImageConfig::make({});
  EXPECT_EQ(made.raw(),
            R"({"architecture":"amd64","config":{},"os":"linux","rootfs":{"type":"layers","diff_ids":[]}})");
  EXPECT_EQ(ImageConfig::parse(made.raw()).value().view(), made.view());
}

TEST(ImageConfig, MakeSortsSetsAndDropsEmptyCommands) {
  ImageConfigView view;
  view.config.exposed_ports = {"9/tcp", "10/tcp", "9/tcp"};
  view.config.cmd = Strings{};
  view.config.entrypoint = Strings{};
  view.config.healthcheck = Healthcheck{};
  const ImageConfig made = ImageConfig::make(view);
  EXPECT_THAT(made.raw(), HasSubstr(R"("config":{"ExposedPorts":{"10/tcp":{},"9/tcp":{}},"Healthcheck":{}})"));
  EXPECT_THAT(made.view().config.exposed_ports, ElementsAre("10/tcp", "9/tcp"));
  EXPECT_EQ(ImageConfig::parse(made.raw()).value().view(), made.view());
}

// What `docker build` without BuildKit wrote for years: other fields, nulls, container_config.
TEST(ImageConfig, ReadsDockersOwn) {
  const std::string raw =
      R"({"architecture":"amd64","config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,
    "ExposedPorts":{"8080/tcp":{},"22/tcp":{}},"Tty":false,"OpenStdin":false,"Env":["PATH=/usr/bin"],"Cmd":["/bin/sh","-c",
    "#(nop) "],"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":5000000000},"Image":"sha256:abc","Volumes":null,
    "WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null,"Shell":null},"container":"0123","container_config":
    {"Cmd":["other"],"User":"nobody"},"created":"2020-01-02T03:04:05.678901234Z","docker_version":"20.10","history":[{"created":
    "2020-01-01T00:00:00Z","created_by":"/bin/sh -c #(nop) ADD file in /"},{"created":"2020-01-02T03:04:05Z",
    "created_by":"x","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":[")" +
      kD1 + R"("]},"Size":12,"throwaway":true})";
  const ImageConfig config = ImageConfig::parse(raw).value();
  EXPECT_EQ(config.raw(), raw);
  const ImageConfigView& view = config.view();
  EXPECT_EQ(view.created, (Timestamp{1'577'934'245, 678'901'234}));
  EXPECT_EQ(view.platform.text(), "linux/amd64");
  EXPECT_EQ(view.config.user, "");
  EXPECT_THAT(view.config.exposed_ports, ElementsAre("22/tcp", "8080/tcp"));
  EXPECT_THAT(view.config.env, ElementsAre("PATH=/usr/bin"));
  EXPECT_FALSE(view.config.entrypoint);
  EXPECT_THAT(*view.config.cmd, ElementsAre("/bin/sh", "-c", "#(nop) "));
  EXPECT_EQ(view.config.healthcheck->interval, 5'000'000'000);
  EXPECT_TRUE(view.config.volumes.empty() && view.config.labels.empty() && view.config.shell.empty());
  ASSERT_EQ(view.history.size(), 2U);
  EXPECT_TRUE(view.history[1].empty_layer);
  EXPECT_EQ(view.diff_ids.size(), 1U);
}

TEST(ImageConfig, NullAndEmptyCommandsDiffer) {
  EXPECT_EQ(run_config(R"({"Cmd":null})").cmd, std::nullopt);
  EXPECT_EQ(run_config(R"({})").cmd, std::nullopt);
  EXPECT_EQ(run_config(R"({"Cmd":[]})").cmd, Strings{});
  EXPECT_EQ(run_config(R"({"Entrypoint":"/init"})").entrypoint, Strings{"/init"});
  EXPECT_EQ(run_config(R"({"Env":null,"Labels":null,"Volumes":null,"ExposedPorts":null,"OnBuild":null,"Shell":null,
                           "Healthcheck":null,"User":null,"ArgsEscaped":null})"),
            RunConfig{});
  EXPECT_EQ(
      ImageConfig::parse(R"({"config":null,"rootfs":null,"history":null,"created":null})").value().view().platform.os,
      "");  // nothing is made up
}

TEST(ImageConfig, StringsAreKeptAsTheyCame) {
  const RunConfig config =
      run_config(R"({"User":"\u001b[2J\u0000","Env":["no equals sign",""],"Volumes":{"../..":{}}})");
  EXPECT_EQ(config.user, std::string("\x1b[2J\0", 5));
  EXPECT_THAT(config.env, ElementsAre("no equals sign", ""));
  EXPECT_THAT(config.volumes, ElementsAre("../.."));
}

TEST(ImageConfig, RefusesWhatIsAmbiguousOrHuge) {
  EXPECT_THAT(error_of(R"({"os":"linux","os":"windows"})"), HasSubstr("twice"));
  EXPECT_THAT(error_of(R"({"os":"linux","OS":"windows"})"), HasSubstr("ambiguous"));
  EXPECT_THAT(error_of(R"({"config":{"user":"root"}})"), HasSubstr("config.user is ambiguous"));
  EXPECT_THAT(error_of(R"({"config":{"Labels":{"a":"1","A":"2"}}})"), "parsed");
  EXPECT_THAT(error_of(R"({"config":{"Labels":{"a":"1","a":"2"}}})"), HasSubstr("twice"));
  EXPECT_THAT(error_of(R"({"config":{"Healthcheck":{"Interval":-1}}})"),
              HasSubstr("config.Healthcheck.Interval is -1; it can not be negative"));
  EXPECT_THAT(error_of(R"({"config":{"Healthcheck":{"Interval":1e30}}})"), HasSubstr("1e+30"));
  EXPECT_THAT(error_of(R"({"config":{"Healthcheck":{"Retries":3000000000}}})"), HasSubstr("too many"));
  EXPECT_THAT(error_of(R"({"config":{"Env":[1]}})"), HasSubstr("config.Env[0] is a number, not a string"));
  EXPECT_THAT(error_of(R"({"config":{"ExposedPorts":["80"]}})"), HasSubstr("is an array, not an object"));
  EXPECT_THAT(error_of(R"({"config":7})"), HasSubstr("config is a number, not an object"));
  EXPECT_THAT(error_of(R"({"created":"yesterday"})"), HasSubstr("created"));
  EXPECT_THAT(error_of(R"({"created":"0000-01-01T00:00:00+23:59"})"), HasSubstr("outside the years"));
  EXPECT_THAT(error_of(R"({"created":"0001-01-01T00:00:00Z"})"), "parsed");
  EXPECT_THAT(error_of(R"({"rootfs":{"type":"layers+base"}})"), HasSubstr("rootfs.type"));
  EXPECT_THAT(error_of(R"({"rootfs":{"type":"layers","diff_ids":["sha256:x"]}})"), HasSubstr("rootfs.diff_ids[0]"));
  EXPECT_THAT(error_of(R"({"history":[null]})"), HasSubstr("history[0] is null"));
  EXPECT_THAT(error_of("[]"), HasSubstr("is an array, not an object"));
  EXPECT_THAT(error_of(std::string(100'000, '{')), Not("parsed"));
  EXPECT_EQ(ImageConfig::parse(R"({"author":")" + std::string(9 << 20, 'a') + "\"}").error().code(),
            Code::kResourceExhausted);
  std::string ids = "\"" + kD1 + "\"";
  for (int i = 0; i < 1000; ++i) ids += ",\"" + kD1 + "\"";
  EXPECT_EQ(ImageConfig::parse(R"({"rootfs":{"diff_ids":[)" + ids + "]}}").error().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace slipway::oci
