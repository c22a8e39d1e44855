// Excerpt: the lines around a failing instruction, as the terminal shows them below an error (spec section 11).
//
//   Dockerfile:3
//   --------------------
//      1 |     FROM base
//      2 |     COPY a /a
//      3 | >>> RUN exit 3
//      4 |
//   --------------------
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::dockerfile {

/// The block for lines `first`..`last` (1-based, inclusive) of `text`, ending in a newline; empty when `first` is not a
/// line of it. One failing line gets two lines of context on each side, several get one. Foreign bytes are made safe to
/// print, tabs stay; lines are cut to 1,000 bytes and more than 200 failing lines are left out in the middle.
[[nodiscard]] std::string excerpt(std::string_view text, std::string_view file_name, int first, int last);

/// Adds `range` and its excerpt to `error`, unless it has one.
[[nodiscard]] Error with_excerpt(Error error, std::string_view text, SourceRange range);

}  // namespace slipway::dockerfile
