// Platform: os/arch[/variant], normalised as containerd does ("x86_64" → amd64, "aarch64" → arm64, "arm" → arm/v7).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::oci {

struct Platform {
  std::string os = "linux";
  std::string architecture = "amd64";
  std::string variant;
  std::string os_version;
  std::vector<std::string> os_features;

  /// "os/arch", "os/arch/variant", a known os or a known architecture alone (the other half is this build's), and
  /// "windows(10.0.17763)/amd64". The answer is normalised. kInvalidArgument otherwise.
  static Result<Platform> parse(std::string_view text);
  static Platform host();  ///< of this build
  /// "linux/arm/v7"; one that came from a document is made printable.
  [[nodiscard]] std::string text() const;
  /// With the version of the system where it has one, as parse() takes it: "windows(10.0.17763)/amd64".
  [[nodiscard]] std::string full_text() const;
  /// The usual spelling: containerd's platforms.Normalize. Platforms of documents are kept as they came and compared
  /// so.
  [[nodiscard]] Platform normalized() const;
  /// How well an image of platform `other` serves a request for this one: 0 is best, nothing is not at all. The order
  /// is containerd's platforms.Only: the same variant, then older ones (arm/v7 runs v6 and v5), then the 32-bit sibling
  /// (amd64 runs 386, arm64 runs arm).
  [[nodiscard]] std::optional<std::size_t> rank(const Platform& other) const;
  /// Whether an image of platform `other` serves a request for this one (amd64/v1 serves amd64, arm/v7 serves arm …).
  [[nodiscard]] bool accepts(const Platform& other) const { return rank(other).has_value(); }
  friend bool operator==(const Platform&, const Platform&) = default;
};

}  // namespace slipway::oci
