// Go's filepath.Match and filepath.Clean, which the wildcards and paths of COPY and .dockerignore are defined by.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::dockerfile {

/// filepath.Match: `*` any run without `/`, `?` one character but `/`, `[a-z]`, `[^a]`, `\c`. The whole name must
/// match. Error: `syntax error in pattern`, also where Go would find it only with some names. For many names use Glob.
[[nodiscard]] Result<bool> go_match(std::string_view pattern, std::string_view name);

/// Whether a COPY source is a pattern: it holds `*`, `?` or `[` that no backslash precedes.
[[nodiscard]] bool has_wildcard(std::string_view text);

/// filepath.Clean for `/` paths: no `//`, `/./`, inner `..` or trailing `/`; "." for nothing.
[[nodiscard]] std::string go_clean(std::string_view path);

}  // namespace slipway::dockerfile
