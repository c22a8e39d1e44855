// The attribute security.capability (linux/capability.h): version 3 names the root id of a user namespace, which means
// nothing in a layer; there it is always version 2.
#pragma once

#include <string>
#include <string_view>

namespace slipway::layer {

inline const std::string kCapabilityXattr = "security.capability";

/// Version 3 as version 2; everything else unchanged.
[[nodiscard]] inline std::string without_namespace(std::string_view value) {
  constexpr std::size_t kV2Size = 20, kV3Size = 24;  // magic, two pairs of sets; and the root id, little endian
  std::string out(value);
  if (value.size() != kV3Size || value[3] != 3) return out;
  out.resize(kV2Size);
  out[3] = 2;
  return out;
}

}  // namespace slipway::layer
