// Lookup: which records of a cache stand for a vertex, asked as BuildKit asks: a root by its digest, anything else by
// its digest and, for every input, by what may stand there.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "buildcache/cache_config.hpp"

namespace slipway::buildcache {

class Lookup {
 public:
  /// Numbers of records, sorted.
  using Records = std::vector<std::size_t>;

  explicit Lookup(CacheConfig config);
  [[nodiscard]] const CacheConfig& config() const { return config_; }

  /// Records of that digest.
  [[nodiscard]] Records of(const oci::Digest& digest) const;
  /// Those without inputs.
  [[nodiscard]] Records roots(const oci::Digest& digest) const;
  /// Records of that digest which have for every input one of the links given for it.
  [[nodiscard]] Records matching(const oci::Digest& digest, const std::vector<std::vector<Link>>& inputs) const;
  [[nodiscard]] const Record& record(std::size_t number) const { return config_.records()[number]; }

 private:
  CacheConfig config_;
  std::unordered_map<oci::Digest, Records> by_digest_;
};

}  // namespace slipway::buildcache
