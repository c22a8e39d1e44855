// Expansion: `$name` and `${name…}` in a word, quotes and escapes (spec section 1.5).
//
//   $v ${v}             the value, or nothing             ${v:-w} ${v-w}   w when unset (with `:` also when empty)
//   ${v:+w} ${v+w}      w when set                        ${v:?m} ${v?m}   an error when unset
//   ${v#p} ${v##p}      without a prefix                  ${v%p} ${v%%p}   without a suffix
//   ${v/p/r} ${v//p/r}  replaced                          w, p, r and m are expanded themselves
//
// `'…'` is literal; in `"…"` the escape character works before `"`, `$` and itself; elsewhere it protects any
// character. The environment is a function, so that the caller decides what is in scope and may note which names were
// asked for:
//
//   auto lookup = [&](std::string_view name) -> std::optional<std::string> { … };
//   std::string word = TRY(expand_word("${TAG:-latest}", '\\', lookup));
//
// Errors: kInvalidArgument `failed to process "SOURCE": …`; kResourceExhausted when a word grows beyond kWordLimit or
// braces nest deeper than kNestingLimit.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::dockerfile {

inline constexpr std::size_t kWordLimit = 16 << 20;  ///< bytes of one expanded word (or list of words)
inline constexpr int kNestingLimit = 100;            ///< braces within braces

/// The value of a variable, or nothing when it is unset.
using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

/// The text as one word: blanks, also those of values, stay.
[[nodiscard]] Result<std::string> expand_word(std::string_view text, char escape, const Lookup& lookup);

/// The text as words: split at blanks outside quotes, also at those of unquoted values (EXPOSE).
[[nodiscard]] Result<std::vector<std::string>> expand_words(std::string_view text, char escape, const Lookup& lookup);

/// The body of a COPY or ADD heredoc: quotes are literal, the escape character is always the backslash.
[[nodiscard]] Result<std::string> expand_body(std::string_view text, const Lookup& lookup);

/// Words of a command line with quotes, escapes and variables left as written: how heredocs are found in a RUN.
/// Errors as above, for what a shell would not accept either.
[[nodiscard]] Result<std::vector<std::string>> raw_words(std::string_view text);

/// The one word that `text` is once its quotes and escapes are removed; variables stay as written. Nothing when it is
/// none or several: a heredoc's name.
[[nodiscard]] Result<std::optional<std::string>> unquoted_word(std::string_view text);

}  // namespace slipway::dockerfile
