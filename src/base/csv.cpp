#include "base/csv.hpp"

#include "base/text.hpp"

namespace slipway {

Result<std::vector<std::string>> csv_fields(std::string_view text) {
  std::vector<std::string> fields(1);
  bool quoted_field = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted_field && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"' && (quoted_field || fields.back().empty())) {
      quoted_field = !quoted_field;
    } else if (c == ',' && !quoted_field) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted_field) return fail(Code::kInvalidArgument, "a quote is not ended in {}", quoted(text, 256));
  return fields;
}

}  // namespace slipway
