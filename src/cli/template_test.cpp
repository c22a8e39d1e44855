#include "cli/template.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

const Value& image() {
  static const Value value = Value::Object{
      {"Id", "sha256:abc"},
      {"RepoTags", Value::Array{"app:1", "app:2"}},
      {"Size", std::int64_t{1234}},
      {"Author", ""},
      {"Volumes", Value()},
      {"Config", Value::Object{{"Env", Value::Array{"A=1"}}, {"Labels", Value::Object{{"a.b", "x"}, {"c", "y"}}}}},
  };
  return value;
}

std::string rendered(std::string_view text) {
  auto made = Template::parse(text);
  if (!made) return "error: " + made.error().what();
  auto out = made->render(image());
  return out ? *out : "error: " + out.error().what();
}

TEST(Template, FieldsAndText) {
  EXPECT_EQ(rendered("plain"), "plain");
  EXPECT_EQ(rendered("{{.Id}}"), "sha256:abc");
  EXPECT_EQ(rendered("<{{ .Id }}|{{.Size}}>"), "<sha256:abc|1234>");
  EXPECT_EQ(rendered("{{.Config.Labels.c}}"), "y");
  EXPECT_EQ(rendered("{{.RepoTags}} {{.Config.Labels}}"), "[app:1 app:2] map[a.b:x c:y]");
  EXPECT_EQ(rendered("{{.Volumes}}"), "<no value>");
}

TEST(Template, Json) {
  EXPECT_EQ(rendered("{{json .RepoTags}}"), R"(["app:1","app:2"])");
  EXPECT_EQ(rendered("{{.Config.Env | json}}"), R"(["A=1"])");
  EXPECT_EQ(rendered("{{json .Author}}"), R"("")");
  EXPECT_TRUE(rendered("{{json .}}").starts_with(R"({"Id":"sha256:abc","RepoTags":[)"));
}

TEST(Template, IndexLenAndWords) {
  EXPECT_EQ(rendered("{{index .RepoTags 1}}"), "app:2");
  EXPECT_EQ(rendered("{{(index .RepoTags 0)}}"), "app:1");
  EXPECT_EQ(rendered("{{index .Config.Labels \"a.b\"}}"), "x");
  EXPECT_EQ(rendered("{{index .Config.Labels \"none\"}}"), "");
  EXPECT_EQ(rendered("{{len .RepoTags}}{{len .Volumes}}"), "20");
  EXPECT_EQ(rendered("{{upper .Id}} {{.Id | upper | lower}}"), "SHA256:ABC sha256:abc");
  EXPECT_EQ(rendered("{{join .RepoTags \", \"}}"), "app:1, app:2");
  EXPECT_EQ(rendered("{{index (split .Id \":\") 1}}"), "abc");
}

TEST(Template, Blocks) {
  EXPECT_EQ(rendered("{{range .RepoTags}}{{.}};{{end}}"), "app:1;app:2;");
  EXPECT_EQ(rendered("{{range .RepoTags}}{{println .}}{{end}}"), "app:1\napp:2\n");
  EXPECT_EQ(rendered("{{range .Volumes}}x{{else}}none{{end}}"), "none");
  EXPECT_EQ(rendered("{{if .Author}}a{{else}}b{{end}}"), "b");
  EXPECT_EQ(rendered("{{if and .Id (eq .Size 1234)}}yes{{end}}"), "yes");
  EXPECT_EQ(rendered("{{with .Config}}{{.Env}}{{$.Id}}{{end}}"), "[A=1]sha256:abc");
  EXPECT_EQ(rendered("a {{- .Size -}} b{{/* c */}}"), "a1234b");
}

TEST(Template, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(rendered("{{.id}}"), "error: template: there is no field .id here; did you mean .Id?");
  EXPECT_EQ(rendered("{{.RepoTag}}"), "error: template: there is no field .RepoTag here; did you mean .RepoTags?");
  EXPECT_EQ(rendered("{{jsn .}}"), "error: template: function \"jsn\" not defined; did you mean json?");
  EXPECT_EQ(rendered("{{.Id"), "error: template: unclosed action: a }} is missing");
  EXPECT_EQ(rendered("{{range .RepoTags}}"), "error: template: a {{end}} is missing");
  EXPECT_EQ(rendered("{{end}}"), "error: template: {{end}} without range, if or with");
  EXPECT_EQ(rendered("{{index .RepoTags 7}}"), "error: template: index 7 is out of range: 2 there");
  EXPECT_EQ(rendered("{{}}"), "error: template: a value is missing");
  EXPECT_EQ(rendered("{{.Id .Size}}"), "error: template: unexpected \".Size\" in a pipeline");
  EXPECT_TRUE(rendered("{{" + std::string(1000, '(') + "}}").starts_with("error: template: too many parentheses"));
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "{{if .Id}}";
  EXPECT_EQ(rendered(deep), "error: template: too many nested blocks");
}

TEST(Template, HeadingsPassThroughFunctions) {
  const auto made = Template::parse("{{upper .Name}}\t{{json .Id}}");
  ASSERT_TRUE(made);
  const auto out = made->render(Value::Object{{"Name", "name"}, {"Id", "ID"}}, Fields::kHeaders);
  ASSERT_TRUE(out);
  EXPECT_EQ(*out, "name\tID");
}

}  // namespace
}  // namespace slipway::cli
