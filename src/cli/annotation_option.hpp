// Annotations on the command line: `--annotation` and the annotation keys of `--output`, as buildx and BuildKit write
// them (spec/dockerfile.md section 12). Values in, values out.
//
//   parse_annotation("index,manifest[linux/amd64]:a=b")        // two of them
//   parse_annotation_key("annotation-index.a", "b")            // of --output
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "build/output.hpp"

namespace slipway::cli {

/// "[manifest|index|manifest-descriptor|index-descriptor[PLATFORM],…:]KEY=VALUE"; without a place it is the manifest's.
/// Errors are kUsage.
[[nodiscard]] Result<std::vector<build::Annotation>> parse_annotation(std::string_view text);

/// "annotation[-PLACE][[PLATFORM]].KEY"; nothing when `key` is no annotation's. Errors are kUsage.
[[nodiscard]] Result<std::optional<build::Annotation>> parse_annotation_key(std::string_view key,
                                                                            std::string_view value);

}  // namespace slipway::cli
