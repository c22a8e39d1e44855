// Tree check: whether a snapshot's tree still is what its layer says.
#pragma once

#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "layer/layer.hpp"

namespace slipway::store {

struct TreeDifference {
  std::string path;     ///< in the tree; foreign bytes
  std::string problem;  ///< one clause: "has other bytes"
};

/// Reads the layer once and the tree once; writes nothing. Compared are type, mode, ids, size, mtime (seconds), link
/// target, device, attributes and bytes. A file that the layer does not name may stand in the tree only when it is
/// equal to that of the `lowers` (descriptors, topmost first): overlay copies up what did not change. At most 100
/// differences are told. An unreadable layer is an error, an unreadable file a difference.
[[nodiscard]] Result<std::vector<TreeDifference>> check_tree(int fs, const layer::Source& compressed,
                                                             const std::vector<int>& lowers, const Cancel& cancel);

}  // namespace slipway::store
