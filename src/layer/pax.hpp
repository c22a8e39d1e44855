// PAX: extended header records (POSIX.1-2001 pax, "pax Extended Header"), their times, and attributes in them.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/time.hpp"

namespace slipway::layer {

inline constexpr std::string_view kSchilyXattr = "SCHILY.xattr.";          ///< star, GNU tar, Go: raw value
inline constexpr std::string_view kLibarchiveXattr = "LIBARCHIVE.xattr.";  ///< URL-encoded name, base64 value

/// Calls `each(key, value)` for every record in order, views into `text`; stops at its first error.
/// A malformed record is kInvalidArgument.
[[nodiscard]] Status for_each_pax_record(std::string_view text,
                                         const std::function<Status(std::string_view, std::string_view)>& each);

/// One record with its length in front.
[[nodiscard]] std::string pax_record(std::string_view key, std::string_view value);

/// Decimal seconds with an optional sign and fraction, cut (never rounded) to nanoseconds: "-1.5",
/// "1350244992.023960108".
[[nodiscard]] Result<Timestamp> parse_pax_time(std::string_view text);
/// As Go's archive/tar writes it: no fraction when there is none, no trailing zeros.
[[nodiscard]] std::string pax_time(Timestamp time);

/// Base64 with or without padding; libarchive writes it without.
[[nodiscard]] Result<std::string> decode_base64(std::string_view text);
/// %XX of libarchive's attribute names; a "%" that begins no code stands for itself, as there.
[[nodiscard]] std::string decode_percent(std::string_view text);

}  // namespace slipway::layer
