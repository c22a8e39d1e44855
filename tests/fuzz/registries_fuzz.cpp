// registries.json (and daemon.json), and each of its texts alone: what is taken for a mirror or an insecure registry is
// one that can be asked.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/url.hpp"
#include "oci/reference.hpp"
#include "registry/registry_config.hpp"

using namespace slipway;

namespace {

void check(const registry::Mirror& mirror) {
  if (!http::Url::parse("https://" + mirror.registry + "/v2/")) std::abort();
  if (mirror.registry.contains('@') || mirror.prefix.starts_with('/') || mirror.prefix.ends_with('/')) std::abort();
  if (!mirror.prefix.empty() && !oci::Reference::parse("localhost/" + mirror.prefix + "/x")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  registry::RegistryRules rules;
  std::vector<registry::InsecureRegistry> insecure;
  if (const auto made = registry::MirrorOf::parse(text.substr(0, 300))) registry::add_mirror(rules, *made);
  if (auto made = registry::InsecureRegistry::parse(text.substr(0, 300))) insecure.push_back(*std::move(made));
  (void)registry::parse_registry_config(text, rules, insecure);
  for (const auto& [name, rule] : rules) {
    if (!oci::Reference::parse(name + "/x")) std::abort();
    for (const auto& mirror : rule.mirrors) check(mirror);
    (void)registry::rule_for(rules, insecure, name);
  }
  for (const char* name : {"docker.io", "10.1.2.3:5000", "[::1]:5000", "[fe80::1]", ":"})
    (void)registry::rule_for(rules, insecure, name);
  return 0;
}
