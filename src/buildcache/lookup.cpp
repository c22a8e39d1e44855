#include "buildcache/lookup.hpp"

#include <algorithm>
#include <set>

namespace slipway::buildcache {

Lookup::Lookup(CacheConfig config) : config_(std::move(config)) {
  for (std::size_t i = 0; i < config_.records().size(); ++i) by_digest_[config_.records()[i].digest].push_back(i);
}

Lookup::Records Lookup::of(const oci::Digest& digest) const {
  const auto known = by_digest_.find(digest);
  return known == by_digest_.end() ? Records() : known->second;
}

Lookup::Records Lookup::roots(const oci::Digest& digest) const {
  Records found;
  if (const auto known = by_digest_.find(digest); known != by_digest_.end())
    for (const std::size_t number : known->second)
      if (record(number).inputs.empty()) found.push_back(number);
  return found;
}

Lookup::Records Lookup::matching(const oci::Digest& digest, const std::vector<std::vector<Link>>& inputs) const {
  Records found;
  const auto known = by_digest_.find(digest);
  if (known == by_digest_.end()) return found;
  std::vector<std::set<Link>> wanted;
  for (const auto& input : inputs) wanted.emplace_back(input.begin(), input.end());
  for (const std::size_t number : known->second) {
    const Record& candidate = record(number);
    if (candidate.inputs.size() != wanted.size()) continue;
    bool all = true;
    for (std::size_t i = 0; all && i < wanted.size(); ++i)
      all = std::ranges::any_of(candidate.inputs[i], [&](const Link& link) { return wanted[i].contains(link); });
    if (all) found.push_back(number);
  }
  return found;
}

}  // namespace slipway::buildcache
