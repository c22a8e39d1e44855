// YAML read as JSON: what CDI specifications need of it. libyaml parses; the text that comes out is for oci::Json.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::build {

/// The one document of `text` as JSON. Plain scalars are null, booleans and whole numbers (also octal 0666 and 0o666
/// and hexadecimal) as in YAML 1.1 without its yes/no, all else strings. Errors (kInvalidArgument) name the line;
/// anchors, aliases, tags, keys that are no scalars and a second document are refused, as is what is nested deeper than
/// 32 or larger than 4 MiB.
[[nodiscard]] Result<std::string> json_of_yaml(std::string_view text);

}  // namespace slipway::build
