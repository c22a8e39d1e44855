// CDI specifications as vendors write them, in JSON and YAML, and who may have which device.
#include "build/cdi.hpp"

#include <gmock/gmock.h>

#include "build/yaml.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr const char* kJson = R"({"cdiVersion": "0.6.0", "kind": "vendor.com/dev", "annotations": {"a": "1"},
  "containerEdits": {"env": ["COMMON=yes"], "hooks": [{"hookName": "createContainer", "path": "/bin/hook"}]},
  "devices": [
    {"name": "first", "containerEdits": {"env": ["ONE=a=b"],
      "deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null", "type": "c", "major": 1, "minor": 3},
                      {"path": "/dev/zero"}],
      "mounts": [{"hostPath": "/usr/lib/v", "containerPath": "/opt/v", "options": ["ro", "nosuid", "bind"]}]}},
    {"name": "second", "annotations": {"org.mobyproject.buildkit.device.class": "thing",
                                       "org.mobyproject.buildkit.device.autoallow": "true"},
      "containerEdits": {}}]})";

constexpr const char* kYaml = R"(cdiVersion: 0.5.0
kind: vendor.com/dev
containerEdits:
  env: [COMMON=yes]
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/x   # the node
      fileMode: 0666
    mounts:
    - {hostPath: /a, containerPath: /b, options: [rw]}
- name: all
)";

TEST(Yaml, BecomesJson) {
  EXPECT_EQ(json_of_yaml("a: 1\nb: [x, 'y', \"z\\n\", true, ~, 0x10, 0666, 0o17, -3, 1.5, '1']\nc: {d: }\n").value(),
            R"({"a":1,"b":["x","y","z\u000a",true,null,16,438,15,-3,"1.5","1"],"c":{"d":null}})");
  EXPECT_EQ(json_of_yaml("1: a\ntrue: b").value(), R"({"1":"a","true":"b"})");
  EXPECT_EQ(json_of_yaml("").value(), "null");
}

TEST(Yaml, WhatGrowsOrHidesIsRefused) {
  for (const auto& [text, why] :
       std::vector<std::pair<std::string, std::string>>{{"a: &x 1\nb: *x", "line 1: anchors and tags are not read"},
                                                        {"a: 1\nb: *x", "line 2: aliases are not read"},
                                                        {"a: !!str 1", "line 1: anchors and tags are not read"},
                                                        {"[a]: 1", "line 1: a key must be a word"},
                                                        {"a\n---\nb", "line 2: a second document"},
                                                        {std::string(100, '['), "line 1: it is nested too deep"},
                                                        {"a: [1", "line"},
                                                        {"\x01", "line"}}) {
    const auto json = json_of_yaml(text);
    ASSERT_FALSE(json) << text;
    EXPECT_THAT(json.error().what(), HasSubstr(why));
  }
}

TEST(ParseCdi, EditsOfTheFileComeFirst) {
  const auto devices = parse_cdi(kJson).value();
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].name, "vendor.com/dev=first");
  EXPECT_THAT(devices[0].edits.environment, ElementsAre(Pair("COMMON", "yes"), Pair("ONE", "a=b")));
  const auto& mounts = devices[0].edits.mounts;
  ASSERT_EQ(mounts.size(), 3U);
  EXPECT_EQ(mounts[0].path, "/dev/null");
  EXPECT_EQ(mounts[0].target, "/dev/x");
  EXPECT_TRUE(mounts[0].device);
  EXPECT_EQ(mounts[1].path, "/dev/zero");
  EXPECT_EQ(mounts[2].target, "/opt/v");
  EXPECT_TRUE(mounts[2].read_only);
  EXPECT_THAT(devices[0].edits.left_out, ElementsAre(HasSubstr("hooks are not run")));
}

TEST(ParseCdi, Yaml) {
  const auto devices = parse_cdi(json_of_yaml(kYaml).value()).value();
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].name, "vendor.com/dev=0");
  EXPECT_EQ(devices[0].edits.mounts[0].target, "/dev/x");
  EXPECT_FALSE(devices[0].edits.mounts[1].read_only);
  EXPECT_THAT(devices[1].edits.environment, ElementsAre(Pair("COMMON", "yes")));
}

TEST(ParseCdi, SaysWhatIsWrong) {
  const auto error = [](const std::string& text) { return parse_cdi(text).error().what(); };
  EXPECT_THAT(error("[]"), HasSubstr("object"));
  EXPECT_THAT(error("{}"), HasSubstr("cdiVersion"));
  EXPECT_THAT(error(R"({"cdiVersion":"1","kind":"x"})"), HasSubstr("no VENDOR/CLASS"));
  EXPECT_THAT(error(R"({"cdiVersion":"1","kind":"a/b","devices":[{"name":"x y"}]})"), HasSubstr("devices[0].name"));
  EXPECT_THAT(error(R"({"cdiVersion":"1","kind":"a/b","containerEdits":{"deviceNodes":[{"path":"dev/x"}]}})"),
              HasSubstr("containerEdits.deviceNodes[0].path is no absolute path"));
  EXPECT_THAT(error(R"({"cdiVersion":"1","kind":"a/b","containerEdits":{"env":["=x"]}})"), HasSubstr("NAME=VALUE"));
}

TEST(DeviceRequest, AsInBuildKit) {
  const auto parsed = DeviceRequest::parse("vendor.com/dev=first,required").value();
  EXPECT_EQ(parsed.name, "vendor.com/dev=first");
  EXPECT_TRUE(parsed.required);
  EXPECT_EQ(DeviceRequest::parse("name=a,required=false")->name, "a");
  EXPECT_FALSE(DeviceRequest::parse("a")->required);
  const auto error = [](const char* text) { return DeviceRequest::parse(text).error().what(); };
  EXPECT_EQ(error("a,b"), "invalid field 'b' must be a key=value pair");
  EXPECT_EQ(error("a,name=b"), "device name already set to a");
  EXPECT_EQ(error("a,required=x"), "invalid value for required: x");
  EXPECT_EQ(error("a,requird=1"), "unexpected key 'requird' in 'requird=1' (did you mean required?)");
}

class RegistryTest : public ::testing::Test {
 protected:
  void write(const std::string& directory, const std::string& name, const std::string& text) {
    ASSERT_TRUE(sys::make_directories(root.path() + "/" + directory, 0755));
    const auto file = sys::open(root.path() + "/" + directory + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ASSERT_TRUE(file && sys::write_all(file->get(), text));
  }
  std::vector<std::string> names(const std::vector<DeviceRequest>& wanted, const Entitlements& granted) {
    const auto registry = CdiRegistry::load({root.path() + "/a", root.path() + "/b", root.path() + "/none"});
    auto found = registry.allowed(wanted, granted);
    if (!found) {
      error = found.error().what();
      hint = found.error().hint();
      return {"error"};
    }
    std::vector<std::string> out;
    for (const auto* device : *found) out.push_back(device->name);
    return out;
  }
  sys::TempDir root = sys::TempDir::make("/tmp", "slipway-cdi-test-").value();
  std::string error, hint;
  Entitlements all{.all_devices = true, .devices = {}};
};

TEST_F(RegistryTest, NamesKindsWildcardsAndClasses) {
  write("a", "x.json", kJson);
  EXPECT_THAT(names({{"vendor.com/dev=second"}}, all), ElementsAre("vendor.com/dev=second"));
  EXPECT_THAT(names({{"vendor.com/dev"}}, all), ElementsAre("vendor.com/dev=first"));
  EXPECT_THAT(names({{"vendor.com/dev=*"}, {"thing"}}, all),
              ElementsAre("vendor.com/dev=first", "vendor.com/dev=second"));
  EXPECT_THAT(names({{"thing"}}, all), ElementsAre("vendor.com/dev=second"));
  EXPECT_THAT(names({{"vendor.com/dev=none"}}, all), IsEmpty());
  EXPECT_THAT(names({{"vendor.com/dev=none", true}}, all), ElementsAre("error"));
  EXPECT_EQ(error, "required device \"vendor.com/dev=none\" is not registered");
}

TEST_F(RegistryTest, OnlyWhatIsAllowed) {
  write("a", "x.json", kJson);
  EXPECT_THAT(names({{"vendor.com/dev=first"}}, {}), ElementsAre("error"));
  EXPECT_EQ(error, "device vendor.com/dev=first is requested by the build but not allowed");
  EXPECT_THAT(names({{"vendor.com/dev=first"}}, {.devices = {{"vendor.com/dev=first", ""}}}),
              ElementsAre("vendor.com/dev=first"));
  EXPECT_THAT(names({{"vendor.com/dev=first"}}, {.devices = {{"vendor.com/dev", ""}}}),
              ElementsAre("vendor.com/dev=first"));
  EXPECT_THAT(names({{"mine"}}, {.devices = {{"mine", "vendor.com/dev=first"}}}), ElementsAre("vendor.com/dev=first"));
  EXPECT_THAT(names({{"vendor.com/dev=second"}}, {}), ElementsAre("vendor.com/dev=second"));  // by its annotation
}

TEST_F(RegistryTest, LaterDirectoriesHideAndTwiceIsNone) {
  write("a", "x.json", kJson);
  write("b", "x.json", R"({"cdiVersion":"1","kind":"vendor.com/dev","devices":[{"name":"first"}]})");
  write("b", "bad.yaml", "a: [");
  write("b", "readme.txt", "no specification");
  const auto registry = CdiRegistry::load({root.path() + "/a", root.path() + "/b"});
  EXPECT_THAT(registry.allowed({{"vendor.com/dev=first"}}, all).value()[0]->edits.mounts, IsEmpty());
  write("b", "y.json", R"({"cdiVersion":"1","kind":"vendor.com/dev","devices":[{"name":"first"}]})");
  EXPECT_THAT(names({{"vendor.com/dev=first", true}}, all), ElementsAre("error"));
  EXPECT_THAT(hint, HasSubstr("/b/bad.yaml: "));
}

}  // namespace
}  // namespace slipway::build
