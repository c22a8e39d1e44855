#include "base/address.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace slipway {
namespace {

/// "host", "host:5000", "[::1]", "[::1]:5000"; not "sha256:…".
bool is_host_and_port(std::string_view text) {
  const auto bracket = text.rfind(']');
  const auto colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return true;
  const std::string_view port = text.substr(colon + 1);
  return !port.empty() && port.size() <= 5 && std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string_view user_information(std::string_view address) {
  const auto scheme = address.find("://");
  const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::string_view rest = address.substr(begin);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const auto at = authority.rfind('@');
  if (at == std::string_view::npos) return {};
  // Without a scheme "name@algorithm:digits" is an image, "user@host:port" an address.
  if (scheme == std::string_view::npos && !is_host_and_port(authority.substr(at + 1))) return {};
  return address.substr(begin, at);
}

std::string quoted_address(std::string_view address, std::size_t limit) {
  const std::string_view secret = user_information(address);
  if (secret.empty()) return quoted(address, limit);
  const auto begin = static_cast<std::size_t>(secret.data() - address.data());
  return quoted(std::string(address.substr(0, begin)) + "***" + std::string(address.substr(begin + secret.size())),
                limit);
}

}  // namespace slipway
