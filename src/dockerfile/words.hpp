// Words: how the text behind an instruction's name is cut into flags and words, before any variable is replaced
// (spec sections 1.2 and 1.4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

struct FlagSplit {
  std::vector<std::string> flags;  ///< "--name" or "--name=value", quotes and escapes removed
  std::string_view rest;           ///< what follows, trimmed
};

/// Takes the words that begin with `--` off the front, up to the first other word or a bare `--`, which is dropped.
[[nodiscard]] FlagSplit split_flags(std::string_view text, char escape);

/// Words between blanks, where quotes and `escape` protect blanks and are kept for the expansion to remove: ARG, ENV,
/// LABEL.
[[nodiscard]] std::vector<std::string> split_quoted(std::string_view text, char escape);

}  // namespace slipway::dockerfile
