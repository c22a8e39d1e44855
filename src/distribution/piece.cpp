#include "distribution/piece.hpp"

#include <limits>

#include "base/text.hpp"

namespace slipway::distribution {

std::optional<Piece> parse_piece(std::string_view text) {
  if (text.starts_with("bytes ")) text = text.substr(6);
  text = text.substr(0, text.find('/'));
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_size(text.substr(0, dash));
  const auto last = parse_size(text.substr(dash + 1));
  if (!first || !last || *last < *first || *last == std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return Piece{*first, *last + 1};
}

}  // namespace slipway::distribution
