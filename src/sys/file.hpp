// Files by descriptor: open, read, write, walk, replace. Every failing call names the path it was given.
//
// Paths: functions named `…_in_root` resolve a hostile path below a directory descriptor with
// openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): it can not leave the directory (docs/security.md, invariant 1).
// All others take trusted paths. Interrupted calls are repeated; short writes are completed or reported.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace slipway::sys {

/// openat(2) with O_CLOEXEC. `at` may be AT_FDCWD.
[[nodiscard]] Result<Fd> open_at(int at, const std::string& path, int flags, mode_t mode = 0);
[[nodiscard]] inline Result<Fd> open(const std::string& path, int flags, mode_t mode = 0) {
  return open_at(AT_FDCWD, path, flags, mode);
}

/// Opens `path` below `root`; symlinks are followed inside, ".." stops at `root`, magic links are refused.
/// With O_NOFOLLOW the last component is not followed.
[[nodiscard]] Result<Fd> open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);

/// The same, and refuses any symlink on the way (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS).
[[nodiscard]] Result<Fd> open_beneath(int root, const std::string& path, int flags, mode_t mode = 0);

/// A second descriptor of the same open file, close-on-exec.
[[nodiscard]] Result<Fd> duplicate(int fd);

/// Up to `size` bytes; 0 at the end.
[[nodiscard]] Result<std::size_t> read_some(int fd, void* buffer, std::size_t size);
[[nodiscard]] Result<std::size_t> read_some_at(int fd, void* buffer, std::size_t size, std::int64_t offset);
/// All of `bytes`, or an error.
[[nodiscard]] Status write_all(int fd, std::string_view bytes);
[[nodiscard]] Status write_all_at(int fd, std::string_view bytes, std::int64_t offset);

/// The whole rest of a file; kOutOfRange when it holds more than `limit` bytes (which are not read).
[[nodiscard]] Result<std::string> read_all(int fd, std::int64_t limit);
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::int64_t limit);

/// fsync(2) / fdatasync(2) / syncfs(2) / close(2) with their errors told.
[[nodiscard]] Status sync(int fd, const std::string& name);
[[nodiscard]] Status sync_file_system(int fd, const std::string& name);
[[nodiscard]] Status close_checked(Fd fd, const std::string& name);
/// Opens the directory and fsyncs it, so that names in it are durable.
[[nodiscard]] Status sync_directory(const std::string& path);

/// Durable replacement: temporary file beside `path`, write, fsync, rename, fsync of the directory.
[[nodiscard]] Status replace_file(const std::string& path, std::string_view bytes, mode_t mode);

[[nodiscard]] Result<struct stat> stat_fd(int fd, const std::string& name);
/// lstat by directory descriptor; nothing when it is not there (ENOENT, ENOTDIR), an error otherwise.
[[nodiscard]] Result<std::optional<struct stat>> lstat_at(int at, const std::string& path);
[[nodiscard]] Result<std::string> readlink_at(int at, const std::string& path);

/// mkdir -p of a trusted path; an existing directory is success.
[[nodiscard]] Status make_directories(const std::string& path, mode_t mode);
[[nodiscard]] Status rename_at(int from_at, const std::string& from, int to_at, const std::string& to);
/// unlinkat; a missing name is success.
[[nodiscard]] Status unlink_at(int at, const std::string& name, int flags = 0);

/// Names in a directory without "." and "..", in directory order. `dir` stays usable and is read from its start.
[[nodiscard]] Result<std::vector<std::string>> list_directory(int dir, const std::string& name);

/// Removes a tree by descriptor walk: follows no symlink, leaves the file system of `at` never, makes directories
/// writable as needed. A missing name is success.
[[nodiscard]] Status remove_tree(int at, const std::string& name);

/// A temporary directory below `parent`, removed with its content when the object dies.
class [[nodiscard]] TempDir {
 public:
  static Result<TempDir> make(const std::string& parent, const std::string& prefix);
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDir& operator=(TempDir&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TempDir();
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Gives the directory away: it is not removed.
  [[nodiscard]] std::string release() { return std::exchange(path_, {}); }

 private:
  explicit TempDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// Extended attributes by descriptor, /proc-free. `fd` may be O_PATH only where noted by xattr(7): use real ones.
[[nodiscard]] Result<std::vector<std::string>> list_xattrs(int fd, const std::string& name);
[[nodiscard]] Result<std::optional<std::string>> get_xattr(int fd, const std::string& key, const std::string& name);
[[nodiscard]] Status set_xattr(int fd, const std::string& key, std::string_view value, const std::string& name);

}  // namespace slipway::sys
