// Pattern: the shell patterns of `${v#pat}`, `${v%pat}` and `${v/pat/rep}` (spec section 1.5).
//
// `*` is any run and `?` any character, neither across a newline (as in BuildKit); `\*`, `\?`, `\\` are literal, `\/`
// and
// `\}` lose their backslash; there are no bracket classes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::dockerfile {

class Pattern {
 public:
  enum class Length : unsigned char { kShortest, kLongest };

  /// Error: `invalid pattern (p) in substitution: invalid escape '\q'`.
  static Result<Pattern> parse(std::string_view text);

  // A match costs |pattern| × |value| steps at most. Beyond some 10^7 steps the answer is kResourceExhausted.

  /// `value` without the prefix that matches, or whole.
  [[nodiscard]] Result<std::string> without_prefix(std::string_view value, Length length) const;
  [[nodiscard]] Result<std::string> without_suffix(std::string_view value, Length length) const;
  /// The first or every (`all`) longest match from the left replaced; the answer never grows beyond `limit` bytes.
  [[nodiscard]] Result<std::string> replaced(std::string_view value, std::string_view replacement, bool all,
                                             std::size_t limit) const;

 private:
  // One element per character; wild ones lie above Unicode.
  std::u32string elements_;
};

}  // namespace slipway::dockerfile
