#include "oci/platform.hpp"

#include <gtest/gtest.h>

namespace slipway::oci {
namespace {

Platform platform(std::string_view text) { return Platform::parse(text).value(); }

TEST(Platform, ParseNormalisesAsContainerdDoes) {
  const std::string host = Platform::host().architecture;
  const std::vector<std::pair<std::string, std::string>> table = {
      {"linux/amd64", "linux/amd64"},
      {"linux/amd64/v1", "linux/amd64"},
      {"linux/amd64/v3", "linux/amd64/v3"},
      {"Linux/X86_64", "linux/amd64"},
      {"linux/x86-64", "linux/amd64"},
      {"linux/i386", "linux/386"},
      {"linux/386", "linux/386"},
      {"linux/aarch64", "linux/arm64"},
      {"linux/arm64", "linux/arm64"},
      {"linux/arm64/v8", "linux/arm64"},
      {"linux/arm64/8", "linux/arm64"},
      {"linux/arm64/v8.0", "linux/arm64"},
      {"linux/arm64/9", "linux/arm64/v9"},
      {"linux/arm64/v9.0", "linux/arm64/v9"},
      {"linux/arm64/v8.2", "linux/arm64/v8.2"},
      {"linux/arm", "linux/arm/v7"},
      {"linux/arm/7", "linux/arm/v7"},
      {"linux/arm/v6", "linux/arm/v6"},
      {"linux/arm/5", "linux/arm/v5"},
      {"linux/armhf", "linux/arm/v7"},
      {"linux/armel", "linux/arm/v6"},
      {"linux/riscv64", "linux/riscv64"},
      {"linux/s390x", "linux/s390x"},
      {"linux/ppc64le", "linux/ppc64le"},
      {"linux/made-up", "linux/made-up"},
      {"macos/arm64", "darwin/arm64"},
      {"arm64", "linux/arm64"},
      {"aarch64", "linux/arm64"},
      {"armhf", "linux/arm/v7"},
      {"linux", "linux/" + host},
      {"windows(10.0.17763)/amd64", "windows/amd64"},
  };
  for (const auto& [text, wanted] : table) {
    const auto parsed = Platform::parse(text);
    ASSERT_TRUE(parsed) << text;
    if (host == "arm" && text == "linux") continue;  // has a variant
    EXPECT_EQ(parsed->text(), wanted) << text;
    EXPECT_EQ(platform(parsed->text()).text(), wanted) << text;
  }
  EXPECT_EQ(platform("windows(10.0.17763)/amd64").os_version, "10.0.17763");
}

TEST(Platform, TheFullTextHasTheVersionOfTheSystem) {
  for (const auto* text : {"linux/amd64", "linux/arm/v7", "windows(10.0.17763)/amd64"}) {
    EXPECT_EQ(Platform::parse(text)->full_text(), text);
    EXPECT_EQ(*Platform::parse(Platform::parse(text)->full_text()), *Platform::parse(text));
  }
  EXPECT_EQ(Platform::parse("windows(10.0.17763)/amd64")->text(), "windows/amd64");
}

TEST(Platform, RefusesOthers) {
  for (const std::string& text :
       {std::string(), std::string("/"), std::string("linux/"), std::string("/amd64"), std::string("linux/arm/v7/x"),
        std::string("made-up"), std::string("linux/*"), std::string("linux amd64"), std::string("linux/amd64\n"),
        std::string("linux(/amd64"), std::string("linux()/amd64"), std::string("lin\0ux/amd64", 12),
        std::string(100, 'a') + "/b"}) {
    const auto parsed = Platform::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument);
  }
}

TEST(Platform, RanksAsContainerdOrders) {
  struct Row {
    const char* wanted;
    std::vector<const char*> served;  // best first, each better than the next
    std::vector<const char*> not_served;
  };
  const std::vector<Row> table = {
      {"linux/amd64", {"linux/amd64", "linux/386"}, {"linux/amd64/v2", "linux/arm64", "windows/amd64"}},
      {"linux/amd64/v3", {"linux/amd64/v3", "linux/amd64/v2", "linux/amd64/v1", "linux/386"}, {"linux/amd64/v4"}},
      {"linux/arm", {"linux/arm/v7", "linux/arm/v6", "linux/arm/v5"}, {"linux/arm/v8", "linux/arm64"}},
      {"linux/arm/v6", {"linux/arm/v6", "linux/arm/v5"}, {"linux/arm", "linux/arm/v7"}},
      {"linux/arm64",
       {"linux/arm64/v8", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"},
       {"linux/arm64/v8.1", "linux/arm64/v9", "linux/amd64"}},
      {"linux/arm64/v8.2", {"linux/arm64/v8.2", "linux/arm64/v8.1", "linux/arm64", "linux/arm"}, {"linux/arm64/v8.3"}},
      {"linux/arm64/v9",
       {"linux/arm64/v9", "linux/arm64/v8.5", "linux/arm64/v8.1", "linux/arm64", "linux/arm/v8"},
       {"linux/arm64/v9.1", "linux/arm64/v8.6"}},
      {"linux/arm64/v10", {"linux/arm64/v10"}, {"linux/arm64", "linux/arm/v7"}},
      {"linux/386", {"linux/386"}, {"linux/amd64"}},
      {"linux/riscv64", {"linux/riscv64"}, {"linux/riscv64/x", "linux/amd64"}},
  };
  for (const Row& row : table) {
    const Platform wanted = platform(row.wanted);
    std::optional<std::size_t> before;
    for (const char* text : row.served) {
      const auto rank = wanted.rank(platform(text));
      ASSERT_TRUE(rank) << row.wanted << " " << text;
      EXPECT_TRUE(!before || *before < *rank) << row.wanted << " " << text;
      EXPECT_TRUE(wanted.accepts(platform(text)));
      before = rank;
    }
    for (const char* text : row.not_served) EXPECT_FALSE(wanted.accepts(platform(text))) << row.wanted << " " << text;
  }
}

TEST(Platform, ComparesForeignSpellingsAndFeatures) {
  EXPECT_TRUE(Platform{}.accepts({.os = "Linux", .architecture = "x86_64", .variant = "V1"}));
  EXPECT_TRUE(Platform{}.accepts({.os = "", .architecture = "amd64"}));
  EXPECT_FALSE(Platform{}.accepts({.os = "linux", .architecture = ""}));
  EXPECT_FALSE(Platform{}.accepts({.os = "unknown", .architecture = "unknown"}));
  EXPECT_FALSE(Platform{}.accepts({.os_features = {"sse4"}}));
  EXPECT_TRUE(Platform{.os_features = {"sse4"}}.accepts({}));
  const Platform windows{.os = "windows", .os_version = "10.0.17763.1"};
  EXPECT_TRUE(windows.accepts({.os = "windows", .os_version = "10.0.17763.999"}));
  EXPECT_FALSE(windows.accepts({.os = "windows", .os_version = "10.0.20348.1"}));
}

TEST(Platform, TextOfAForeignOneIsPrintable) {
  EXPECT_EQ((Platform{.os = "\x1b[2J", .architecture = "a\nb"}).text(), "\\x1b[2J/a\\nb");
}

}  // namespace
}  // namespace slipway::oci
