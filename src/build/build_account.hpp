// BuildAccount: what is kept of a build for `slipway why`: its steps, how each ended, and why those that ran did.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "build/definition.hpp"
#include "oci/digest.hpp"

namespace slipway::build {

/// Why a step ran. All texts are empty for one that was found recorded.
struct StepReason {
  std::string kind;     ///< one word; docs/why.md
  std::string name;     ///< what it is of that kind: a path, a variable, a step. Foreign
  std::string text;     ///< for people, printable
  std::string mount;    ///< the mount that a file or image is seen through: "/src (bind)". Foreign
  std::string follows;  ///< the step, as shown, from which this one's follows. Foreign
};

struct StepAccount {
  enum class Ended : unsigned char {
    kCached = 1,
    kRan = 2,
    kFailed = 3,
    kStopped = 4,  ///< by the failure of another step, or by the user
  };
  std::string name;         ///< as shown: "[build 2/5] RUN make"; cut
  std::string stage;        ///< as shown, with a platform where that is shown: "build", "linux/arm64 build", ""
  std::uint64_t place = 0;  ///< its number in the stage; 0: none
  std::string kind;         ///< DescribedOp::kind
  std::string text;         ///< value_of the instruction's text
  oci::Digest key;          ///< its fast key: its ingredients are kept under that
  Ended ended = Ended::kRan;
  StepReason reason;
};

struct BuildAccount {
  std::string project;  ///< value_of what tells this Dockerfile and context from others
  std::vector<StepAccount> steps;

  [[nodiscard]] std::string encode() const;
  /// kDataLoss for anything that encode() did not write.
  static Result<BuildAccount> decode(std::string_view bytes);
};

/// A shown name, taken apart: "[build 2/5] RUN make" is step 2 of "build" and says "RUN make".
struct ShownName {
  std::string_view stage;
  std::uint64_t place = 0;
  std::string_view text;  ///< all of it, when it has no place
};
[[nodiscard]] ShownName take_apart(std::string_view name);

[[nodiscard]] std::string encode(const std::vector<Ingredient>& ingredients);
[[nodiscard]] Result<std::vector<Ingredient>> decode_ingredients(std::string_view bytes);

}  // namespace slipway::build
