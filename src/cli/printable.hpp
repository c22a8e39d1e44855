// Foreign text on a terminal: what may pass, and how wide it is. base/text.hpp's printable() is for single words and
// lines of errors; here whole texts keep their line feeds, and a step's output may keep its colours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace slipway::cli {

/// The code point that valid UTF-8 text begins with (0 for empty text).
[[nodiscard]] char32_t code_point(std::string_view text);

/// Control characters (C0, DEL, C1), bidirectional overrides and line separators: what must never reach a terminal.
[[nodiscard]] bool acts_on_terminal(char32_t code);

enum class Colours : unsigned char {
  kStrip,
  kKeep,  ///< well-formed SGR sequences (ESC [ digits ; … m) pass, and a reset follows the text
};

/// Foreign text of any length made safe: line feeds and tabs stay, everything else that a terminal would act on, and
/// bytes that are no UTF-8, become \xNN or \u{N}. Escape sequences that only colour are kept or dropped.
[[nodiscard]] std::string printable_text(std::string_view foreign, Colours colours = Colours::kStrip);

/// Columns that safe text (of one line) takes on a terminal; SGR sequences take none.
[[nodiscard]] std::size_t columns_of(std::string_view line);

/// The longest beginning of a safe line that takes at most `columns`; tabs count as one blank and become one.
[[nodiscard]] std::string cut_to_columns(std::string_view line, std::size_t columns);

}  // namespace slipway::cli
