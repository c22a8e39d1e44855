#include "registry/registry_rules.hpp"

#include <algorithm>

#include "base/address.hpp"
#include "base/text.hpp"
#include "http/url.hpp"
#include "oci/reference.hpp"

namespace slipway::registry {
namespace {

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
    const auto network = http::Network::parse(bare);
    if (!network)
      return fail(Code::kInvalidArgument, "{} is no insecure registry; write HOST[:PORT] or ADDRESS/BITS",
                  quoted_address(text));
    made.network_ = *network;
    return made;
  }
  const std::string_view host = bare.substr(0, bare.find('/'));
  const auto url = http::Url::parse(fmt::format("http://{}/", host));
  if (host.empty() || host.contains('?') || host.contains('#') || !url)
    return fail(Code::kInvalidArgument, "{} is no insecure registry; write HOST[:PORT] or ADDRESS/BITS",
                quoted_address(text));
  made.name_ = lower(host);
  return made;
}

bool InsecureRegistry::holds(std::string_view registry) const {
  if (!name_.empty()) {
    const std::string name = lower(registry);
    return name == name_ || host_of(name) == name_;
  }
  const auto address = http::parse_address(host_of(registry));
  return address && network_.holds(*address);
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
