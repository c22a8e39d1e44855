#include "registry/hops.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "http/address.hpp"

namespace slipway::registry {
namespace {

/// Link-local addresses, where clouds have their metadata, and Amazon's second one; in every way to write them.
bool link_local(const http::Url& url) {
  const auto address = http::parse_address(url.host());
  if (!address) return false;
  return std::ranges::any_of(std::array{"169.254.0.0/16", "fe80::/10", "fd00:ec2::/32"},
                             [&](const char* network) { return http::Network::parse(network)->holds(*address); });
}

/// Loopback, and the ways to write it that only a resolver or a kernel reads so.
bool this_machine(const http::Url& url) {
  std::string_view host = url.host();
  while (host.ends_with('.')) host.remove_suffix(1);
  return http::is_loopback_host(host) || host.ends_with(".localhost") || host.starts_with("0.") ||
         host.starts_with("[::ffff:") || host == "[::]";
}

}  // namespace

Status check_hop(const http::Url& from, const http::Url& to, Hop hop) {
  if (to.host() != from.host() && ((this_machine(to) && !this_machine(from)) || link_local(to)))
    return fail(Code::kPermissionDenied, "{} sends us to {}, which is not for it to name", printable(from.origin()),
                printable(to.origin()));
  if (from.scheme() != "https" || to.scheme() == "https" || hop == Hop::kVerified) return {};
  Error error(Code::kPermissionDenied,
              fmt::format("{} sends us to {}, which is not https", printable(from.origin()), printable(to.origin())));
  if (from.host() == to.host())
    error.with_hint("a proxy before the registry must tell it X-Forwarded-Proto, or the registry its own address");
  return std::unexpected(std::move(error));
}

}  // namespace slipway::registry
