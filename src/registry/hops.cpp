#include "registry/hops.hpp"

#include "base/text.hpp"

namespace slipway::registry {
namespace {

bool link_local(const http::Url& url) {
  const std::string& host = url.host();
  return host.starts_with("169.254.") || host.starts_with("[fe8") || host.starts_with("[fe9") ||
         host.starts_with("[fea") || host.starts_with("[feb");
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
