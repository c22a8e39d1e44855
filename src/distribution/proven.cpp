#include "distribution/proven.hpp"

#include <algorithm>

namespace slipway::distribution {

bool Proven::has(const std::string& key, std::int64_t now) {
  const auto found = until_.find(key);
  if (found == until_.end() || found->second <= now) return false;
  found->second = now + kLifeMs;
  return true;
}

void Proven::add(const std::string& key, std::int64_t now) {
  if (until_.size() >= most_ && !until_.contains(key))
    until_.erase(std::ranges::min_element(until_, {}, [](const auto& one) { return one.second; }));
  until_[key] = now + kLifeMs;
}

}  // namespace slipway::distribution
