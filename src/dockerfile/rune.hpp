// Rune: UTF-8 read as Go reads it, for rules that speak of characters (blanks, `?`, classes) rather than bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

struct Rune {
  char32_t value = 0;
  std::size_t length = 0;  ///< bytes taken; 1 for an invalid byte, whose value is U+FFFD
};

/// The first character of `text`, which must not be empty. Bytes that are no UTF-8 come one at a time.
[[nodiscard]] Rune first_rune(std::string_view text);

/// One char32_t per character; a byte that is no UTF-8 becomes kInvalidByte plus its value, so that encoded() gives it
/// back.
[[nodiscard]] std::u32string decoded(std::string_view text);
[[nodiscard]] std::string encoded(std::u32string_view text);
inline constexpr char32_t kInvalidByte = 0x120000;

void append_rune(std::string& out, char32_t rune);  ///< as UTF-8; surrogates and values beyond U+10FFFF as U+FFFD

/// Go's unicode.IsSpace.
[[nodiscard]] bool is_space(char32_t rune);

/// Bytes of the blank that `text` begins with, or 0.
[[nodiscard]] std::size_t leading_space(std::string_view text);

[[nodiscard]] std::string_view trim_left_space(std::string_view text);
[[nodiscard]] std::string_view trim_space(std::string_view text);  ///< Go's strings.TrimSpace

/// Words between runs of tab, VT, FF, CR and blank. Like Go's regexp.Split, a leading or trailing run gives an empty
/// word.
[[nodiscard]] std::vector<std::string_view> split_blanks(std::string_view text);

}  // namespace slipway::dockerfile
