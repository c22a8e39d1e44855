// EntryPath: where below the root a member of an archive belongs.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "layer/layer.hpp"

namespace slipway::layer {

/// A member's path or a hard link's target, cleaned lexically as Go's path.Clean does it: no leading "/", no ".", "..",
/// "//" or trailing "/"; "" is the root itself. kInvalidArgument when it points above the root, kOutOfRange when it or
/// one of its names is too long.
[[nodiscard]] Result<std::string> clean_path(std::string_view raw, const Limits& limits);

/// "a/b/c" → "a/b" and "c"; "c" → "" and "c".
struct PathParts {
  std::string parent;
  std::string name;
};
[[nodiscard]] PathParts split_path_parts(std::string_view clean);

}  // namespace slipway::layer
