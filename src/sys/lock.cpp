#include "sys/lock.hpp"

#include <fcntl.h>

#include <algorithm>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::sys {
namespace {

struct flock request(LockKind kind) {
  struct flock lock{};
  lock.l_type = kind == LockKind::kExclusive ? F_WRLCK : F_RDLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

Status set_lock(int fd, LockKind kind, const std::string& what) {
  struct flock lock = request(kind);
  if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return {};
  if (errno == EAGAIN || errno == EACCES) return fail(Code::kAborted, "{} is locked", what);
  return fail_errno("cannot lock {}", what);
}

}  // namespace

Result<FileLock> FileLock::try_lock(const std::string& path, LockKind kind) {
  FileLock lock(TRY(open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600)));
  TRY(set_lock(lock.fd(), kind, printable(path)));
  return lock;
}

Result<FileLock> FileLock::try_lock_existing(const std::string& path, LockKind kind) {
  FileLock lock(TRY(open(path, O_RDWR | O_NOFOLLOW)));
  TRY(set_lock(lock.fd(), kind, printable(path)));
  return lock;
}

void FileLock::release() {
  struct flock lock = request(LockKind::kShared);
  lock.l_type = F_UNLCK;
  (void)::fcntl(fd(), F_OFD_SETLK, &lock);
}

Status FileLock::retake(LockKind kind) { return set_lock(fd(), kind, "the file"); }

Result<FileLock> FileLock::lock(const std::string& path, LockKind kind, const Cancel& cancel) {
  // Tried again and again rather than F_OFD_SETLKW: a blocked call would not see the cancel.
  for (int pause = 1;; pause = std::min(pause * 2, 50)) {
    auto locked = try_lock(path, kind);
    if (locked || locked.error().code() != Code::kAborted) return locked;
    if (cancel.wait_for(pause)) TRY(cancel.check());
  }
}

Status share_lock(int fd) { return set_lock(fd, LockKind::kShared, "the file"); }

Result<bool> is_locked(const std::string& path) {
  auto fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd && fd.error().sys_errno() == ENOENT) return false;
  const Fd file = TRY(std::move(fd));
  struct flock lock = request(LockKind::kExclusive);
  if (::fcntl(file.get(), F_OFD_GETLK, &lock) < 0) return fail_errno("cannot test the lock {}", printable(path));
  return lock.l_type != F_UNLCK;
}

}  // namespace slipway::sys
