// Stack: snapshots on top of each other, looked at as overlayfs shows them merged, without a mount. Paths below it are
// real paths: every component was seen to be a directory in the layers that `Parts` names, and none is a symlink.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace slipway::layer {

/// Layers that have a part in a directory: indices, topmost first.
using Parts = std::vector<std::uint16_t>;

struct MergedChild {
  std::string name;
  struct stat info{};       ///< of the topmost layer that has it
  std::uint16_t layer = 0;  ///< that layer
  Parts parts;              ///< of a directory
};

class Stack {
 public:
  /// Descriptors of layers' directories, topmost first; they must stay open.
  explicit Stack(const std::vector<int>& layers) : layers_(layers) {}

  [[nodiscard]] std::size_t size() const { return layers_.size(); }
  [[nodiscard]] Parts all() const;
  /// The directory `path` ("" is the root) of one layer; symlinks are refused.
  [[nodiscard]] Result<sys::Fd> open_directory(std::uint16_t layer, const std::string& path) const;
  /// What a reader of the merged tree sees in a directory, sorted by name.
  [[nodiscard]] Result<std::vector<MergedChild>> children(const std::string& path, const Parts& parts) const;

 private:
  const std::vector<int>& layers_;
};

/// Opens `path` ("" is `dir` itself) below `dir`; symlinks are refused.
[[nodiscard]] Result<sys::Fd> open_directory_beneath(int dir, const std::string& path);
/// Whether the directory hides those below it.
[[nodiscard]] Result<bool> is_opaque(int dir, const std::string& path);

}  // namespace slipway::layer
