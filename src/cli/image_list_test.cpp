#include "cli/image_list.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

constexpr std::int64_t kNow = 1'700'000'000;
const std::string kId = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kOther = "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

ListedImage image(const std::string& name, std::int64_t age, const std::string& id = kId) {
  ListedImage made;
  if (!name.empty()) made.reference = oci::Reference::parse(name).value();
  made.id = id;
  made.digest = kOther;
  made.created = kNow - age;
  made.size = 187'000'000;
  return made;
}

std::string table(std::vector<ListedImage> images, const std::vector<std::string>& filters,
                  const std::optional<std::string>& format = std::nullopt, bool digests = false) {
  ImageFilter filter;
  for (const auto& text : filters)
    if (auto status = filter.add(text); !status) return "error: " + status.error().what();
  auto kept = filter.apply(std::move(images));
  if (!kept) return "error: " + kept.error().what();
  std::vector<Value> rows;
  for (const auto& each : *kept) rows.push_back(row_of(each, kNow, Truncate::kYes));
  return render_rows(image_table(digests), format, rows).value();
}

TEST(ImageList, HeaderAlsoWhenEmpty) {
  EXPECT_EQ(table({}, {}), "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
  EXPECT_EQ(table({}, {}, std::nullopt, true), "REPOSITORY   TAG       DIGEST    IMAGE ID   CREATED   SIZE\n");
}

TEST(ImageList, NewestFirstAsDockerShowsThem) {
  EXPECT_EQ(table({image("debian:12", 86400 * 21), image("127.0.0.1:5000/team/app:1", 120), image("", 7200)}, {}),
            "REPOSITORY                TAG       IMAGE ID       CREATED         SIZE\n"
            "127.0.0.1:5000/team/app   1         0123456789ab   2 minutes ago   187MB\n"
            "<none>                    <none>    0123456789ab   2 hours ago     187MB\n"
            "debian                    12        0123456789ab   3 weeks ago     187MB\n");
}

TEST(ImageList, JsonRowsHaveDockersFields) {
  EXPECT_EQ(
      table({image("app:1", 120)}, {}, "json"),
      "{\"Containers\":\"N/A\",\"CreatedAt\":\"2023-11-14 22:11:20 +0000 UTC\",\"CreatedSince\":\"2 minutes ago\","
      "\"Digest\":\"" +
          kOther +
          "\",\"ID\":\"0123456789ab\",\"Repository\":\"app\",\"SharedSize\":\"N/A\","
          "\"Size\":\"187MB\",\"Tag\":\"1\",\"UniqueSize\":\"N/A\",\"VirtualSize\":\"187MB\"}\n");
}

TEST(ImageList, Filters) {
  const auto images = [] {
    std::vector<ListedImage> all = {image("app:1", 10), image("app:2", 20, kOther), image("team/web:1", 30),
                                    image("", 40)};
    all[0].labels = {{"stage", "test"}};
    return all;
  };
  const std::string format = "{{.Repository}}:{{.Tag}}";
  EXPECT_EQ(table(images(), {"reference=app"}, format), "app:1\napp:2\n");
  EXPECT_EQ(table(images(), {"reference=app:1"}, format), "app:1\n");
  EXPECT_EQ(table(images(), {"reference=*"}, format), "app:1\napp:2\n");
  EXPECT_EQ(table(images(), {"reference=*/*"}, format), "team/web:1\n");
  EXPECT_EQ(table(images(), {"reference=a*:2", "reference=team/*"}, format), "app:2\nteam/web:1\n");
  EXPECT_EQ(table(images(), {"dangling=true"}, format), "<none>:<none>\n");
  EXPECT_EQ(table(images(), {"dangling=false", "label=stage"}, format), "app:1\n");
  EXPECT_EQ(table(images(), {"label=stage=prod"}, format), "");
  EXPECT_EQ(table(images(), {"before=app:2"}, format), "team/web:1\n<none>:<none>\n");
  EXPECT_EQ(table(images(), {"since=app:2"}, format), "app:1\n");
  EXPECT_EQ(table(images(), {"since=nope"}, format), "error: no image \"nope\" to compare with");
  EXPECT_EQ(table(images(), {"nonsense=1"}, format),
            "error: unknown filter \"nonsense\"; there are reference, dangling, label, before and since");
  EXPECT_EQ(table(images(), {"dangling=maybe"}, format), "error: filter dangling is true or false, not \"maybe\"");
}

TEST(ImageList, PathMatchAsGos) {
  EXPECT_TRUE(path_match("a*c", "abbc"));
  EXPECT_TRUE(path_match("*", ""));
  EXPECT_FALSE(path_match("*", "a/b"));
  EXPECT_TRUE(path_match("*/b*", "a/bcd"));
  EXPECT_TRUE(path_match("[a-c]?", "bx"));
  EXPECT_FALSE(path_match("[^a-c]", "b"));
  EXPECT_TRUE(path_match("\\*", "*"));
  EXPECT_FALSE(path_match("[a", "a"));
  EXPECT_FALSE(path_match("a", "ab"));
  EXPECT_TRUE(path_match("*a*b*c", "xxaxxbxxc"));
  EXPECT_FALSE(path_match(std::string(30, '*') + "b", std::string(4000, 'a')));  // and takes no exponential time
}

}  // namespace
}  // namespace slipway::cli
