#include "cli/table.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cli/printable.hpp"
#include "cli/template.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kLeastWidth = 10;
constexpr std::size_t kPadding = 3;

// A shell's single quotes keep \t and \n as two characters; docker reads them as one.
std::string with_escapes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 't' || text[i + 1] == 'n')) {
      out += text[++i] == 't' ? '\t' : '\n';
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string align_columns(std::string_view lines) {
  if (lines.ends_with('\n')) lines.remove_suffix(1);
  std::vector<std::vector<std::string_view>> table;
  std::vector<std::size_t> widths;
  for (const auto line : split(lines, '\n')) {
    table.push_back(split(line, '\t'));
    const auto& cells = table.back();
    for (std::size_t i = 0; i + 1 < cells.size(); ++i) {
      if (widths.size() <= i) widths.resize(i + 1, kLeastWidth);
      widths[i] = std::max(widths[i], columns_of(cells[i]) + kPadding);
    }
  }
  std::string out;
  for (const auto& cells : table) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      out += cells[i];
      if (i + 1 < cells.size()) out.append(widths[i] - columns_of(cells[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

Result<std::string> render_rows(const TableShape& shape, const std::optional<std::string>& format,
                                const std::vector<Value>& rows) {
  std::string text = format ? std::string(trim(*format)) : "table";
  bool table = false;
  if (text == "json") {
    text = "{{json .}}";
  } else if (text == "table" || text.empty()) {
    table = true;
    text = shape.columns;
  } else if (text.starts_with("table ") || text.starts_with("table\t") || text.starts_with("table{{")) {
    table = true;
    text = with_escapes(trim(std::string_view(text).substr(5)));
  } else {
    text = with_escapes(text);
  }
  const Template made = TRY(Template::parse(text));
  std::string out;
  if (table) {
    Value::Object headings;
    for (const auto& [field, heading] : shape.headings) headings.emplace_back(field, heading);
    out = TRY(made.render(Value(std::move(headings)), Fields::kHeaders)) + "\n";
  }
  for (const auto& row : rows) out += TRY(made.render(row)) + "\n";
  return table ? align_columns(out) : out;
}

}  // namespace slipway::cli
