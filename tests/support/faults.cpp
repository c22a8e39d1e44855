// faults: for LD_PRELOAD. Makes the Nth call that changes a file system fail, so that a test can walk through every one
// of a program's calls: N = 1, 2, … until the program does not reach the Nth any more.
//
//   SLIPWAY_FAULT_NTH=7            the call that fails, counted from 1; 0 or unset: none (they are only counted)
//   SLIPWAY_FAULT_ERRNO=ENOSPC     EIO (default), ENOSPC, EDQUOT, EROFS, EACCES, EMFILE or a number
//   SLIPWAY_FAULT_MODE=once        once (default); after: this one and every later one; short: the Nth write writes
//                                  half of what it was given; kill: the process kills itself instead of calling
//   SLIPWAY_FAULT_CALLS=a,b,c      only these are counted and fail; default: all below
//   SLIPWAY_FAULT_COUNT_FILE=path  gets the number of calls when the process exits in order
//
// Calls: write (also pwrite, writev, pwritev), fsync (also fdatasync, syncfs), rename (renameat, renameat2), link
// (linkat, symlink, symlinkat), mkdir (mkdirat), create (open, openat, creat with O_CREAT; mknod), truncate (ftruncate,
// fallocate). Writes to descriptors 0, 1, 2 do not count. Unlinks never fail here: a full disk does not stop them.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum class Mode { kOnce, kAfter, kShort, kKill };

struct Settings {
  long nth = 0;
  int error = EIO;
  Mode mode = Mode::kOnce;
  const char* calls = nullptr;
  const char* count_file = nullptr;
};

int number_of(const char* name) {
  if (name == nullptr || std::strcmp(name, "EIO") == 0) return EIO;
  if (std::strcmp(name, "ENOSPC") == 0) return ENOSPC;
  if (std::strcmp(name, "EDQUOT") == 0) return EDQUOT;
  if (std::strcmp(name, "EROFS") == 0) return EROFS;
  if (std::strcmp(name, "EACCES") == 0) return EACCES;
  if (std::strcmp(name, "EMFILE") == 0) return EMFILE;
  return std::atoi(name);
}

Settings read_settings() {
  Settings settings;
  if (const char* nth = std::getenv("SLIPWAY_FAULT_NTH")) settings.nth = std::atol(nth);
  settings.error = number_of(std::getenv("SLIPWAY_FAULT_ERRNO"));
  if (const char* mode = std::getenv("SLIPWAY_FAULT_MODE")) {
    if (std::strcmp(mode, "after") == 0) settings.mode = Mode::kAfter;
    if (std::strcmp(mode, "short") == 0) settings.mode = Mode::kShort;
    if (std::strcmp(mode, "kill") == 0) settings.mode = Mode::kKill;
  }
  settings.calls = std::getenv("SLIPWAY_FAULT_CALLS");
  settings.count_file = std::getenv("SLIPWAY_FAULT_COUNT_FILE");
  return settings;
}

const Settings& settings() {
  static const Settings all = read_settings();
  return all;
}

long count = 0;

bool listed(const char* call) {
  if (settings().calls == nullptr) return true;
  const std::size_t length = std::strlen(call);
  for (const char* at = settings().calls; (at = std::strstr(at, call)) != nullptr; at += length) {
    const bool begins = at == settings().calls || at[-1] == ',';
    if (begins && (at[length] == ',' || at[length] == '\0')) return true;
  }
  return false;
}

/// Counts the call; true with errno set when it shall fail.
bool fails(const char* call) {
  if (!listed(call)) return false;
  const long number = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
  const long nth = settings().nth;
  if (nth == 0 || number < nth) return false;
  if (number > nth && settings().mode != Mode::kAfter) return false;
  if (settings().mode == Mode::kShort) return false;
  if (settings().mode == Mode::kKill) kill(getpid(), SIGKILL);
  errno = settings().error;
  return true;
}

/// What a write may take: half of it when it is the Nth and the mode is short.
std::size_t allowed(std::size_t size) {
  const bool cut = settings().mode == Mode::kShort && settings().nth != 0 && count == settings().nth && size > 1;
  return cut ? size / 2 : size;
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

struct AtExit {
  ~AtExit() {
    const char* path = settings().count_file;
    if (path == nullptr) return;
    char text[32];
    const int length = std::snprintf(text, sizeof text, "%ld\n", count);
    const long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return;
    syscall(SYS_write, fd, text, length);
    syscall(SYS_close, fd);
  }
} at_exit;

}  // namespace

// The real function, looked up once per call site.
#define NEXT(name) static const auto real = next<decltype(&::name)>(#name)
#define PUBLIC extern "C" __attribute__((visibility("default")))

PUBLIC ssize_t write(int fd, const void* data, size_t size) {
  NEXT(write);
  if (fd > 2 && fails("write")) return -1;
  return real(fd, data, fd > 2 ? allowed(size) : size);
}
PUBLIC ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  NEXT(pwrite);
  if (fails("write")) return -1;
  return real(fd, data, allowed(size), offset);
}
PUBLIC ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  NEXT(pwrite64);
  if (fails("write")) return -1;
  return real(fd, data, allowed(size), offset);
}
PUBLIC ssize_t writev(int fd, const iovec* parts, int parts_count) {
  NEXT(writev);
  if (fd > 2 && fails("write")) return -1;
  return real(fd, parts, parts_count);
}
PUBLIC ssize_t pwritev(int fd, const iovec* parts, int parts_count, off_t offset) {
  NEXT(pwritev);
  if (fails("write")) return -1;
  return real(fd, parts, parts_count, offset);
}
PUBLIC int fsync(int fd) {
  NEXT(fsync);
  return fails("fsync") ? -1 : real(fd);
}
PUBLIC int fdatasync(int fd) {
  NEXT(fdatasync);
  return fails("fsync") ? -1 : real(fd);
}
PUBLIC int syncfs(int fd) noexcept {
  NEXT(syncfs);
  return fails("fsync") ? -1 : real(fd);
}
PUBLIC int rename(const char* from, const char* to) noexcept {
  NEXT(rename);
  return fails("rename") ? -1 : real(from, to);
}
PUBLIC int renameat(int from_at, const char* from, int to_at, const char* to) noexcept {
  NEXT(renameat);
  return fails("rename") ? -1 : real(from_at, from, to_at, to);
}
PUBLIC int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) noexcept {
  NEXT(renameat2);
  return fails("rename") ? -1 : real(from_at, from, to_at, to, flags);
}
PUBLIC int link(const char* from, const char* to) noexcept {
  NEXT(link);
  return fails("link") ? -1 : real(from, to);
}
PUBLIC int linkat(int from_at, const char* from, int to_at, const char* to, int flags) noexcept {
  NEXT(linkat);
  return fails("link") ? -1 : real(from_at, from, to_at, to, flags);
}
PUBLIC int symlink(const char* target, const char* name) noexcept {
  NEXT(symlink);
  return fails("link") ? -1 : real(target, name);
}
PUBLIC int symlinkat(const char* target, int at, const char* name) noexcept {
  NEXT(symlinkat);
  return fails("link") ? -1 : real(target, at, name);
}
PUBLIC int mkdir(const char* path, mode_t mode) noexcept {
  NEXT(mkdir);
  return fails("mkdir") ? -1 : real(path, mode);
}
PUBLIC int mkdirat(int at, const char* path, mode_t mode) noexcept {
  NEXT(mkdirat);
  return fails("mkdir") ? -1 : real(at, path, mode);
}
PUBLIC int mknodat(int at, const char* path, mode_t mode, dev_t device) noexcept {
  NEXT(mknodat);
  return fails("create") ? -1 : real(at, path, mode, device);
}
PUBLIC int ftruncate(int fd, off_t size) noexcept {
  NEXT(ftruncate);
  return fails("truncate") ? -1 : real(fd, size);
}
PUBLIC int ftruncate64(int fd, off64_t size) noexcept {
  NEXT(ftruncate64);
  return fails("truncate") ? -1 : real(fd, size);
}
PUBLIC int fallocate(int fd, int mode, off_t offset, off_t size) {
  NEXT(fallocate);
  return fails("truncate") ? -1 : real(fd, mode, offset, size);
}
PUBLIC int fallocate64(int fd, int mode, off64_t offset, off64_t size) {
  NEXT(fallocate64);
  return fails("truncate") ? -1 : real(fd, mode, offset, size);
}
PUBLIC int creat(const char* path, mode_t mode) {
  NEXT(creat);
  return fails("create") ? -1 : real(path, mode);
}

namespace {
bool creates(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }
}  // namespace

#define MODE_ARGUMENT                                   \
  mode_t mode = 0;                                      \
  if (creates(flags)) {                                 \
    va_list arguments;                                  \
    va_start(arguments, flags);                         \
    mode = static_cast<mode_t>(va_arg(arguments, int)); \
    va_end(arguments);                                  \
  }

PUBLIC int open(const char* path, int flags, ...) {
  NEXT(open);
  MODE_ARGUMENT
  return creates(flags) && fails("create") ? -1 : real(path, flags, mode);
}
PUBLIC int open64(const char* path, int flags, ...) {
  NEXT(open64);
  MODE_ARGUMENT
  return creates(flags) && fails("create") ? -1 : real(path, flags, mode);
}
PUBLIC int openat(int at, const char* path, int flags, ...) {
  NEXT(openat);
  MODE_ARGUMENT
  return creates(flags) && fails("create") ? -1 : real(at, path, flags, mode);
}
PUBLIC int openat64(int at, const char* path, int flags, ...) {
  NEXT(openat64);
  MODE_ARGUMENT
  return creates(flags) && fails("create") ? -1 : real(at, path, flags, mode);
}
