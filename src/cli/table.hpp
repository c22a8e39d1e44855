// Table: rows and --format as docker writes them (docker/cli formatter, Go's text/tabwriter with minwidth 10, padding
// 3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "cli/value.hpp"

namespace slipway::cli {

/// Cells of each line are separated by tabs; columns become as wide as their widest cell + 3, at least 10; the last
/// cell of a line is not padded.
[[nodiscard]] std::string align_columns(std::string_view lines);

struct TableShape {
  /// Every field that a template may use, with its heading: {"Repository", "REPOSITORY"}.
  std::vector<std::pair<std::string, std::string>> headings;
  /// What plain `table` shows: "{{.Repository}}\t{{.Tag}}".
  std::string columns;
};

/// `format` as docker reads it: nothing or "table": the shape's columns with headings; "table TEMPLATE": those columns;
/// "json": a JSON object a line; else a template, rendered a line per row. `rows` are objects with the shape's fields.
[[nodiscard]] Result<std::string> render_rows(const TableShape& shape, const std::optional<std::string>& format,
                                              const std::vector<Value>& rows);

}  // namespace slipway::cli
