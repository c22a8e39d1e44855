// Stubs: mount points that the image does not have. They are made through the overlay, noted in memory shared between
// pid 1 (which makes them) and its parent (which removes them from the upper directory once every process of the step
// is dead), so that nothing of them reaches a layer.
#pragma once

#include <sys/stat.h>

#include <cstdint>

namespace slipway::init {

struct Stub {
  char path[4096];  ///< below the root, without a leading slash, free of symlinks
  bool directory;
  timespec parent_before;  ///< modification time of the directory it was made in, before …
  timespec parent_after;   ///< … and after
};

struct StubLog {
  static constexpr unsigned kCapacity = 128;
  std::uint32_t count;
  Stub stubs[kCapacity];
};

/// Memory that survives the clone and is seen by both sides. Pages that are never touched cost nothing.
StubLog* make_stub_log();

/// Opens the mount point `path` (absolute, cleaned, hostile) below the attached mount `root`, making what is missing:
/// directories 0755 of uid 0, or an empty file as the last component. O_PATH; the last component is not followed when
/// `over_link`. Negative with errno when it can not be had (ENOTDIR, ELOOP, EEXIST for a dangling symlink …).
int open_mount_point(int root, const char* path, bool directory, bool over_link, StubLog& log);

/// Removes what the log holds from the upper directory `upper`, where it is still as it was made, newest first, and
/// puts back times of directories that nobody else changed. Follows no symlink.
void remove_stubs(int upper, const StubLog& log);

}  // namespace slipway::init
