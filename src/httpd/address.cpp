#include <algorithm>

#include "base/address.hpp"
#include "base/text.hpp"
#include "httpd/server.hpp"

namespace slipway::httpd {

Result<Address> Address::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, "{} is no address to listen on: {}; give HOST:PORT, like 127.0.0.1:5000",
                quoted_address(text, 200), why);
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("it has no port");
  const auto port = parse_size(text.substr(colon + 1));
  if (!port || *port > 65535 || colon + 1 == text.size() || text.size() - colon > 6) return bad("the port is none");
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.contains(':')) return bad("an IPv6 address goes in brackets");
  const auto good = [&](char c) {
    const bool alnum = (c >= '0' && c <= '9') || (lower({&c, 1})[0] >= 'a' && lower({&c, 1})[0] <= 'z');
    return alnum || c == '.' || c == '-' || (bracketed && (c == ':' || c == '%'));
  };
  if (!std::ranges::all_of(host, good) || (bracketed && host.empty())) return bad("the host is none");
  Address out;
  out.host_ = host;
  out.port_ = static_cast<int>(*port);
  return out;
}

bool Address::loopback() const {
  // Only what can be nothing else: a name's meaning is up to a resolver.
  const auto quad = split(host_, '.');
  const bool dotted = quad.size() == 4 && quad[0] == "127" && std::ranges::all_of(quad, [](std::string_view part) {
                        return !part.empty() && part.size() <= 3 && parse_size(part).value_or(256) <= 255;
                      });
  return dotted || host_ == "::1" || lower(host_) == "localhost";
}

std::string Address::text() const {
  return host_.contains(':') ? fmt::format("[{}]:{}", host_, port_) : fmt::format("{}:{}", host_, port_);
}

}  // namespace slipway::httpd
