// Named contexts: --build-context NAME=VALUE, what FROM NAME, COPY --from=NAME and RUN --mount from=NAME mean before
// stages and images are looked at (spec section 2).
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::build {

struct NamedContext {
  enum class Kind : unsigned char {
    kFolder,  ///< a path
    kRemote,  ///< a URL or git reference
    kImage,   ///< docker-image://REFERENCE
    kLayout,  ///< oci-layout://DIRECTORY[:TAG][@DIGEST]
    kStage,   ///< target:STAGE
  };
  std::string name;  ///< canonical_context_name()
  Kind kind = Kind::kFolder;
  std::string value;  ///< without the prefix

  /// "NAME=VALUE". Errors (kUsage): no name, no value, a name that is reserved ("context", "scratch") or none.
  static Result<NamedContext> parse(std::string_view text);
};

/// The name that a context is found by: of an image name the familiar form without ":latest", so that "alpine",
/// "alpine:latest" and "docker.io/library/alpine" are one; lower case where only that makes it an image name, and for
/// what is none.
[[nodiscard]] std::string canonical_context_name(std::string_view name);

/// The directory, tag and digest of an oci-layout:// value.
struct LayoutAddress {
  std::string directory, tag, digest;
  static LayoutAddress parse(std::string_view text);
};

}  // namespace slipway::build
