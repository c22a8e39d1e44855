#include "cli/table.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

TableShape shape() { return {{{"Name", "NAME"}, {"Size", "SIZE"}}, "{{.Name}}\t{{.Size}}"}; }
const std::vector<Value> kRows = {Value(Value::Object{{"Name", "a-longer-name"}, {"Size", "1kB"}}),
                                  Value(Value::Object{{"Name", "b"}, {"Size", "2MB"}})};

std::string rendered(const std::optional<std::string>& format, const std::vector<Value>& rows) {
  auto out = render_rows(shape(), format, rows);
  return out ? *out : "error: " + out.error().what();
}

TEST(Table, ColumnsAsGosTabwriter) {
  EXPECT_EQ(align_columns("REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\n"),
            "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
  EXPECT_EQ(align_columns("é\tx\nabcdefghij\ty\n"), "é            x\nabcdefghij   y\n");
}

TEST(Table, HeaderAlsoWithoutRows) {
  EXPECT_EQ(rendered(std::nullopt, {}), "NAME      SIZE\n");
  EXPECT_EQ(rendered("table", {}), "NAME      SIZE\n");
}

TEST(Table, Formats) {
  EXPECT_EQ(rendered(std::nullopt, kRows), "NAME            SIZE\na-longer-name   1kB\nb               2MB\n");
  EXPECT_EQ(rendered("{{.Name}}", kRows), "a-longer-name\nb\n");
  EXPECT_EQ(rendered("json", kRows),
            "{\"Name\":\"a-longer-name\",\"Size\":\"1kB\"}\n{\"Name\":\"b\",\"Size\":\"2MB\"}\n");
  EXPECT_EQ(rendered("table {{.Size}}\\t{{.Name}}", kRows), "SIZE      NAME\n1kB       a-longer-name\n2MB       b\n");
  EXPECT_EQ(rendered("{{.Name}}\\n{{.Size}}", {kRows[1]}), "b\n2MB\n");
  EXPECT_EQ(rendered("{{.Nme}}", kRows), "error: template: there is no field .Nme here; did you mean .Name?");
}

}  // namespace
}  // namespace slipway::cli
