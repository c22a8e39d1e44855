// Mounts by descriptor: thin, failing-loudly forms of fsopen(2), open_tree(2), move_mount(2), mount_setattr(2).
#pragma once

#include <sys/mount.h>

#include <cstdint>

namespace slipway::init {

/// One key of fsconfig(2); a null value is a flag.
struct Setting {
  const char* key;
  const char* value;
};

/// A detached mount of a new file system, or -1 with errno; `why` (at least 512 bytes) gets the kernel's own words.
int make_mount(const char* type, const Setting* settings, unsigned count, std::uint64_t attributes, char* why);

/// The same; ends the process on failure. `name` is for the error.
int need_mount(const char* name, const char* type, const Setting* settings, unsigned count, std::uint64_t attributes);

/// The kernel's explanation of the last failure on a context of fsopen(2) (man 2 fsopen), or an empty text.
void explain(int context, char* why, unsigned size);

/// A detached copy of the mount at `path` below `at`; -1 with errno. `flags`: AT_RECURSIVE, AT_EMPTY_PATH, ….
int clone_mount(int at, const char* path, unsigned flags);

/// Sets mount attributes on a (detached) mount; 0 or -1.
int set_attributes(int mount, std::uint64_t attributes, bool recursive);

/// Attaches `mount` at `path` below `at`, the last component taken as it is, never followed. 0 or -1.
int attach(int mount, int at, const char* path);
/// Attaches `mount` upon what `target` refers to.
int attach_upon(int mount, int target);

/// Makes the mount `root` (attached) the root of this mount namespace and lets the old one go.
void enter_root(int root);

}  // namespace slipway::init
