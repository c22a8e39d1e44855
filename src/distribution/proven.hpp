// Proven: passwords that were right a while ago, by keyed hash. Each use renews the while, so that whoever keeps coming
// is not checked again among guessers.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace slipway::distribution {

class Proven {
 public:
  static constexpr std::int64_t kLifeMs = 300'000;
  explicit Proven(std::size_t most = 4096) : most_(most) {}
  /// Whether it is remembered; then for another kLifeMs. `now`: monotonic ms.
  [[nodiscard]] bool has(const std::string& key, std::int64_t now);
  /// The one that was used least recently makes room.
  void add(const std::string& key, std::int64_t now);

 private:
  const std::size_t most_;
  std::map<std::string, std::int64_t> until_;  ///< monotonic ms
};

}  // namespace slipway::distribution
