// The JSON form of instructions: `["a", "b"]`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

struct JsonList {
  enum class Kind : unsigned char {
    kNotJson,     ///< no JSON array: the instruction's other form is meant
    kNotStrings,  ///< JSON, but with an element that is no string
    kStrings,     ///< `items` holds the strings
  };
  Kind kind = Kind::kNotJson;
  std::vector<std::string> items;
};

/// Reads `text` as Go's encoding/json would: leading blanks are skipped, anything behind the array makes it no JSON;
/// lone surrogates and bytes that are no UTF-8 become U+FFFD. Needs no stack for nested arrays.
[[nodiscard]] JsonList parse_json_list(std::string_view text);

}  // namespace slipway::dockerfile
