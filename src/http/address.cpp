#include "http/address.hpp"

#include <arpa/inet.h>

#include <string>

#include "base/text.hpp"

namespace slipway::http {

std::optional<Address> parse_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  const std::string plain(text);
  Address address{};
  if (::inet_pton(AF_INET6, plain.c_str(), address.data()) == 1) return address;
  if (::inet_pton(AF_INET, plain.c_str(), address.data() + 12) != 1) return std::nullopt;
  address[10] = address[11] = 0xff;
  return address;
}

std::optional<Network> Network::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const auto bits = parse_size(text.substr(slash + 1));
  const bool v4 = !text.substr(0, slash).contains(':');
  if (!address || !bits || *bits > (v4 ? 32 : 128)) return std::nullopt;
  return Network{*address, static_cast<int>(*bits) + (v4 ? 96 : 0)};
}

bool Network::holds(const Address& other) const {
  for (int i = 0; i < bits; ++i) {
    const auto at = static_cast<std::size_t>(i / 8);
    if (((address[at] ^ other[at]) & (0x80 >> (i % 8))) != 0) return false;
  }
  return true;
}

}  // namespace slipway::http
