// Text: splitting, quoting, and making foreign bytes safe to show.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway {

/// Foreign text made safe for a terminal or a log: control characters (also C1 and DEL), invalid UTF-8 and
/// bidirectional overrides become \xNN or \u{N}; cut to `limit` bytes with "…". Invariant 12 of docs/security.md.
[[nodiscard]] std::string printable(std::string_view foreign, std::size_t limit = 4096);

/// printable() in double quotes, with `"` and `\` escaped: how error texts show user input.
[[nodiscard]] std::string quoted(std::string_view foreign, std::size_t limit = 1024);

/// Go's strconv.Quote (%q), which Dockerfile history texts are made with.
[[nodiscard]] std::string go_quoted(std::string_view text);

/// The parts are views into `text`: a temporary string would leave them dangling, so that does not compile.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
template <std::same_as<std::string> Temporary>
std::vector<std::string_view> split(Temporary&& text, char separator) = delete;
[[nodiscard]] std::string_view trim(std::string_view text);  ///< blanks, tabs, CR, LF, VT, FF on both ends
[[nodiscard]] std::string lower(std::string_view text);      ///< ASCII only
[[nodiscard]] std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// Decimal, unsigned, at most 2^63-1, no sign, no blanks; anything else is an error (sizes are never clamped).
[[nodiscard]] Result<std::int64_t> parse_size(std::string_view digits);

/// "10MB", "1.5g", "512 MiB", "100": docker's units, powers of 1024 for K/M/G/T with and without "i", "B".
[[nodiscard]] Result<std::int64_t> parse_human_size(std::string_view text);

/// Bytes as docker writes them (go-units HumanSize, powers of 1000, 3 digits): "187MB", "1.24GB", "0B".
[[nodiscard]] std::string human_size(std::int64_t bytes);

/// "3 minutes", "About an hour", "2 weeks": go-units HumanDuration; the caller adds " ago".
[[nodiscard]] std::string human_duration(std::int64_t seconds);

/// The nearest of `known` within an edit distance of 2 (for "did you mean"), or empty.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string_view>& known);

/// Bytes of the valid UTF-8 sequence that `text` begins with (1 to 4); 0 when it begins with none or is empty.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

/// Lower-case hexadecimal of bytes.
[[nodiscard]] std::string hex(std::string_view bytes);

}  // namespace slipway
