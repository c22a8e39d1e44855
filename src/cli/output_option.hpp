// --output: one `-o` as a build::Output (spec/dockerfile.md section 12). Values in, values out; nothing is opened.
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "build/output.hpp"

namespace slipway::cli {

/// "type=tar,dest=FILE,…", "-" (a tar to standard output) or a directory. type=registry is an image that is pushed,
/// type=docker without dest an image in the store. Names are not those of -t. Errors are kUsage and name the key: an
/// unknown one with what may have been meant, one of another type by that.
[[nodiscard]] Result<build::Output> parse_output(std::string_view text);

/// What strconv.ParseBool takes; `what` ("option --output: push") is for the error. Nothing at all is true, as BuildKit
/// reads "push=".
[[nodiscard]] Result<bool> parse_bool(std::string_view text, std::string_view what);

}  // namespace slipway::cli
