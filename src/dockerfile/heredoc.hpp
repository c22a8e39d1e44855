// Heredoc: `[fd]<<[-]NAME` on an instruction's line and the lines that follow it (spec section 1.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::dockerfile {

struct Heredoc {
  std::string name;         ///< without quotes; the terminator line and, in COPY, the file's name
  unsigned descriptor = 0;  ///< the number before `<<`
  bool expand = true;       ///< no part of the name was quoted
  bool strip_tabs = false;  ///< `<<-`
  bool spaced = false;      ///< `<< NAME`: only a heredoc when a later line ends it, for `$((1 << 2))` is none
  std::string content;      ///< the lines as they are in the file, each with its newline; filled by the lexer
  friend bool operator==(const Heredoc&, const Heredoc&) = default;
};

/// The heredoc that the word announces, or nothing when it is another word. Error: a quote that does not end.
[[nodiscard]] Result<std::optional<Heredoc>> parse_heredoc(std::string_view word);

/// All that a command line announces, in order, also `<< NAME` (newer BuildKit's). A line
/// that no shell could read announces none.
[[nodiscard]] Result<std::vector<Heredoc>> find_heredocs(std::string_view line);

/// Content as `<<-` means it: without the tabs that lines begin with.
[[nodiscard]] std::string text_of(const Heredoc& heredoc);

}  // namespace slipway::dockerfile
