// TreeFile: a file of a snapshot or an upper directory, read as the entry a layer holds of it.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "layer/entry.hpp"
#include "sys/fd.hpp"

namespace slipway::layer {

struct TreeFile {
  Entry entry;  ///< mtime in whole seconds, as docker writes layers; only attributes that layers carry
  struct stat info{};
  sys::Fd fd;           ///< of regular files and directories
  bool opaque = false;  ///< a directory that hides what is below it
};

/// `name` in the directory `dir`; `info` is what lstat said of it, `path` what the entry is called. Never follows a
/// symlink and never opens a device, a fifo or a socket. Nothing for what layers can not hold (sockets). A stand-in for
/// a device is the device. kFailedPrecondition where overlayfs left a redirect or a metacopy, which our mounts forbid.
[[nodiscard]] Result<std::optional<TreeFile>> open_tree_file(int dir, const std::string& name, const struct stat& info,
                                                             std::string path);

/// An open directory as a TreeFile, for the root, which has no name.
[[nodiscard]] Result<TreeFile> open_tree_root(int dir);

/// Whether two files have the same content. Both open, of equal size.
class BytesEqual {
 public:
  [[nodiscard]] Result<bool> operator()(int a, int b, std::int64_t size, const std::string& path);

 private:
  std::string first_, second_;  ///< buffers, kept between calls
};

}  // namespace slipway::layer
