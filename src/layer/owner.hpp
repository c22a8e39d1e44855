// Owners where there is one id only: a user namespace without a range (an ordinary user without a line in /etc/subuid)
// can not chown(2) to anybody. There the owner that a file should have is *recorded*, and everything that reads a tree
// of ours reads the record: layers hold what the image needs, and only the steps see every file as root's.
//
// The record is an attribute (user.slipway.owner = "UID:GID") of files and directories, which goes with the inode
// through links, renames and overlay's copy-up. Symlinks, fifos and devices can have no attributes of users: theirs is
// one of their directory (user.slipway.owner:NAME = "UID:GID:MTIME"), which counts as long as the file has that mtime: a
// new link of that name is root's, as it would be (so is one that a step gives another time).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/error.hpp"

namespace slipway::layer {

/// Whether this process lives in a user namespace of one id. Asked of the kernel once, after the namespace was entered.
[[nodiscard]] bool records_owners();

/// Gives an open file or directory to these ids, or records them. `name` is for errors.
[[nodiscard]] Status give(int fd, std::uint32_t uid, std::uint32_t gid, const std::string& name);
/// The same for `name` in the directory `dir` (no O_PATH), which may be a symlink; `mtime` is what it has or will get.
[[nodiscard]] Status give_at(int dir, const std::string& name, std::uint32_t uid, std::uint32_t gid,
                             const timespec& mtime);

/// Puts the recorded owner, if any, into `info`, which is what stat said of it. kFailedPrecondition for a record that
/// is none.
[[nodiscard]] Status recall_owner(int fd, struct stat& info, const std::string& name);
[[nodiscard]] Status recall_owner_at(int dir, const std::string& name, struct stat& info);

}  // namespace slipway::layer
