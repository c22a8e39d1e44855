// Reason: the first thing that makes a step another than an older one, in words.
//
// What a step says of itself comes before what it stands on: a step that changed by itself is a cause, one that only
// stands on another layer now is a consequence and names the cause.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "build/build_account.hpp"
#include "build/listing.hpp"

namespace slipway::build {

/// Two steps to compare, and what the words need besides their ingredients.
struct Comparison {
  const std::vector<Ingredient>& before;
  const std::vector<Ingredient>& now;
  bool same_text = true;  ///< of the instruction
  /// The first changed file of two contents; nothing when it is not known.
  std::function<std::optional<FileChange>(const oci::Digest& before, const oci::Digest& now)> file;
  /// The step from which a changed input of `now` follows: a shown name, empty when there is none to name.
  std::function<std::string(const Ingredient& input)> cause;
};

/// Nothing when no ingredient differs.
[[nodiscard]] std::optional<StepReason> first_difference(const Comparison& steps);

/// How much two steps have in common: equal ingredients of the larger number, 0 to 1000.
[[nodiscard]] int in_common(const std::vector<Ingredient>& before, const std::vector<Ingredient>& now);

}  // namespace slipway::build
