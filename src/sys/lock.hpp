// FileLock: an open-file-description lock (man 2 fcntl, F_OFD_SETLK). It lives as long as the descriptor: the kernel
// drops it when the process dies, whatever pid namespace it lived in.
#pragma once

#include <string>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "sys/fd.hpp"

namespace slipway::sys {

enum class LockKind : unsigned char { kShared, kExclusive };

class [[nodiscard]] FileLock {
 public:
  /// Opens (creates, 0600) `path` and tries once: kAborted when another holder stands against it.
  static Result<FileLock> try_lock(const std::string& path, LockKind kind);
  /// Waits for it, looking at `cancel`.
  /// As try_lock(), of a file that has to be there: ENOENT else.
  static Result<FileLock> try_lock_existing(const std::string& path, LockKind kind);
  static Result<FileLock> lock(const std::string& path, LockKind kind, const Cancel& cancel);
  /// Lets go of it; the file stays open.
  void release();
  /// Tries once to have it again: kAborted when another holder stands against it.
  [[nodiscard]] Status retake(LockKind kind);
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// A shared lock on an open file, as long as its descriptor lives; kAborted when an exclusive one stands against it.
[[nodiscard]] Status share_lock(int fd);

/// Whether someone (also ourselves, through another descriptor) holds a lock on `path`. A missing file: no.
[[nodiscard]] Result<bool> is_locked(const std::string& path);

}  // namespace slipway::sys
