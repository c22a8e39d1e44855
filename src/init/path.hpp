// Path: a text built in place, and the one audited way to open paths of the image.
#pragma once

#include <fcntl.h>

#include <cstdint>

namespace slipway::init {

/// A formatted path of at most PATH_MAX bytes; a longer one ends the process with an error.
struct Path {
  char text[4096];
  __attribute__((format(printf, 2, 3))) explicit Path(const char* format, ...);
};

/// openat2(2) relative to `root`, close-on-exec: symlinks are followed inside `root` only, magic links never. Negative
/// with errno on failure. With O_NOFOLLOW the last component is not followed.
int open_in_root(int root, const char* path, int flags);

/// The same, and refuses every symlink (ELOOP, or ENOTDIR with O_DIRECTORY).
int open_beneath(int root, const char* path, int flags);

}  // namespace slipway::init
