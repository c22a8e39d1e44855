// Piece: the part of an upload that a PATCH or PUT brings, as its Content-Range says.
//
//   parse_piece("0-1023")   → {0, 1024}
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace slipway::distribution {

/// At least a byte; `end` is one past the last.
struct Piece {
  std::int64_t begin = 0, end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
};

/// "FIRST-LAST", both included, also as "bytes FIRST-LAST/…", which some clients send. Nothing when it is none, or when
/// it ends where no file can.
[[nodiscard]] std::optional<Piece> parse_piece(std::string_view text);

}  // namespace slipway::distribution
