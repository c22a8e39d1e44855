// Addresses as they are written in URLs and in lists of networks.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace slipway::http {

/// IPv4 as IPv4-mapped IPv6 (::ffff:a.b.c.d), network order.
using Address = std::array<unsigned char, 16>;

/// "10.0.0.1", "::1", "[::1]"; nothing for names.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

struct Network {
  Address address{};
  int bits = 0;  ///< of the mapped form: 96 more for IPv4
  /// "10.0.0.0/8", "fd00::/8"; nothing for what is none. The bits behind the prefix are not looked at.
  [[nodiscard]] static std::optional<Network> parse(std::string_view text);
  [[nodiscard]] bool holds(const Address& other) const;
};

}  // namespace slipway::http
