#include "registry/registry_rules.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.hpp"
#include "http/url.hpp"
#include "oci/reference.hpp"

namespace slipway::registry {
namespace {

using Address = std::array<unsigned char, 16>;

/// "10.0.0.1", "::1", "[::1]"; IPv4 as ::ffff:a.b.c.d.
std::optional<Address> parse_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  const std::string plain(text);
  Address address{};
  if (::inet_pton(AF_INET6, plain.c_str(), address.data()) == 1) return address;
  if (::inet_pton(AF_INET, plain.c_str(), address.data() + 12) != 1) return std::nullopt;
  address[10] = address[11] = 0xff;
  return address;
}

std::string_view without_scheme(std::string_view text) {
  for (const std::string_view scheme : {"https://", "http://"})
    if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  return text;
}

/// "host:5000" → "host", "[::1]:5000" → "[::1]".
std::string_view host_of(std::string_view registry) {
  const auto colon = registry.rfind(':');
  if (colon == std::string_view::npos || registry.find(']', colon) != std::string_view::npos) return registry;
  return registry.substr(0, colon);
}

/// The first `bits` of both are the same.
bool same_network(const Address& a, const Address& b, int bits) {
  for (int i = 0; i < bits; ++i) {
    const auto at = static_cast<std::size_t>(i / 8);
    const int mask = 0x80 >> (i % 8);
    if (((a[at] ^ b[at]) & mask) != 0) return false;
  }
  return true;
}

}  // namespace

Result<Mirror> Mirror::parse(std::string_view text) {
  if (text.contains('@'))
    return fail(Code::kInvalidArgument,
                "the URL of a mirror holds a user name; log in to it instead: slipway login HOST[:PORT]");
  const bool plain = text.starts_with("http://");
  const std::string url_text = text.contains("://") ? std::string(text) : fmt::format("https://{}", text);
  const auto refused = [&] {
    return fail(Code::kInvalidArgument, "{} is no mirror; write https://HOST[:PORT][/PREFIX]", quoted(text, 300));
  };
  const auto url = http::Url::parse(url_text);
  if (!url || text.contains('#')) return refused();
  std::string prefix = url->target();
  while (prefix.ends_with('/')) prefix.pop_back();
  if (prefix.starts_with('/')) prefix.erase(0, 1);
  if (!prefix.empty()) {  // judged by the grammar of names, as a repository of some registry
    const auto name = oci::Reference::parse("localhost/" + prefix);
    if (!name || name->repository() != prefix) return refused();
  }
  return Mirror{url->authority(), std::move(prefix), plain};
}

Result<InsecureRegistry> InsecureRegistry::parse(std::string_view text) {
  const std::string_view bare = without_scheme(trim(text));
  InsecureRegistry made;
  if (const auto slash = bare.find('/'); slash != std::string_view::npos && slash + 1 < bare.size()) {
    const auto address = parse_address(bare.substr(0, slash));
    const auto bits = parse_size(bare.substr(slash + 1));
    const bool v4 = address && !bare.substr(0, slash).contains(':');
    if (!address || !bits || *bits > (v4 ? 32 : 128))
      return fail(Code::kInvalidArgument, "{} is no insecure registry; write HOST[:PORT] or ADDRESS/BITS",
                  quoted(text, 300));
    made.address_ = *address;
    made.bits_ = static_cast<int>(*bits) + (v4 ? 96 : 0);
    return made;
  }
  const std::string_view host = bare.substr(0, bare.find('/'));
  const auto url = http::Url::parse(fmt::format("http://{}/", host));
  if (host.empty() || host.contains('?') || host.contains('#') || !url)
    return fail(Code::kInvalidArgument, "{} is no insecure registry; write HOST[:PORT] or ADDRESS/BITS",
                quoted(text, 300));
  made.name_ = lower(host);
  return made;
}

bool InsecureRegistry::holds(std::string_view registry) const {
  if (!name_.empty()) {
    const std::string name = lower(registry);
    return name == name_ || host_of(name) == name_;
  }
  const auto address = parse_address(host_of(registry));
  return address && same_network(*address, address_, bits_);
}

RegistryRule rule_for(const RegistryRules& rules, const std::vector<InsecureRegistry>& insecure,
                      const std::string& registry) {
  RegistryRule rule;
  auto found = rules.find(registry);
  if (found == rules.end()) found = rules.find(kEveryRegistry);
  if (found != rules.end()) rule = found->second;
  const auto holds = [&](const InsecureRegistry& item) { return item.holds(registry); };
  if (std::any_of(insecure.begin(), insecure.end(), holds)) rule.trust = Trust::kAnybody;
  return rule;
}

}  // namespace slipway::registry
