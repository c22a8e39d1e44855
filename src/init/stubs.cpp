#include "init/stubs.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "init/path.hpp"
#include "init/report.hpp"

namespace slipway::init {
namespace {

bool same(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

/// Where `directory` lies, as a path below `root`: both are asked for their path from this process's root by
/// getcwd(2), which needs no /proc and gives a path free of symlinks.
bool path_below(int root, int directory, char* out, std::size_t size) {
  char above[4096], below[4096];
  if (fchdir(root) < 0 || getcwd(above, sizeof above) == nullptr) return false;
  if (fchdir(directory) < 0 || getcwd(below, sizeof below) == nullptr) return false;
  const std::size_t prefix = std::strcmp(above, "/") == 0 ? 0 : std::strlen(above);
  if (std::strncmp(above, below, prefix) != 0) return false;
  const char* rest = below + prefix;
  while (*rest == '/') ++rest;
  return snprintf(out, size, "%s", rest) < static_cast<int>(size);
}

/// Makes `name` in `parent` and notes it. 0 or -1.
int make_stub(int root, int parent, const char* name, bool directory, StubLog& log) {
  if (log.count >= StubLog::kCapacity) return errno = EMLINK, -1;
  Stub& stub = log.stubs[log.count];
  char inside[4096];
  if (!path_below(root, parent, inside, sizeof inside)) return errno = ENOTDIR, -1;
  const int size = snprintf(stub.path, sizeof stub.path, "%s%s%s", inside, inside[0] != '\0' ? "/" : "", name);
  if (size < 0 || static_cast<unsigned>(size) >= sizeof stub.path) return errno = ENAMETOOLONG, -1;
  struct stat info{};
  if (fstat(parent, &info) < 0) return -1;
  stub.parent_before = info.st_mtim;
  stub.directory = directory;
  if (directory) {
    if (mkdirat(parent, name, 0755) < 0) return -1;
  } else {
    const int file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0) return -1;
    close(file);
  }
  if (fstat(parent, &info) < 0) return -1;
  stub.parent_after = info.st_mtim;
  ++log.count;
  return 0;
}

/// Opens the directory that `path` up to (not including) `end` names, making missing components.
int open_parent(int root, const char* path, const char* end, StubLog& log) {
  char prefix[4096];
  int parent = open_in_root(root, "/", O_PATH | O_DIRECTORY);
  const char* component = path + 1;
  while (parent >= 0 && component < end) {
    const char* stop = std::strchr(component, '/');
    if (stop == nullptr || stop > end) stop = end;
    char name[256];
    if (stop - component >= static_cast<long>(sizeof name)) return errno = ENAMETOOLONG, -1;
    (void)snprintf(name, sizeof name, "%.*s", static_cast<int>(stop - component), component);
    (void)snprintf(prefix, sizeof prefix, "%.*s", static_cast<int>(stop - path), path);
    int next = open_in_root(root, prefix, O_PATH | O_DIRECTORY);
    if (next < 0 && errno == ENOENT && make_stub(root, parent, name, true, log) == 0)
      next = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const int error = errno;
    close(parent);
    errno = error;
    parent = next;
    component = stop + 1;
  }
  return parent;
}

void remove_stub(int upper, const Stub& stub) {
  char directory[4096];
  (void)snprintf(directory, sizeof directory, "%s", stub.path);
  char* slash = std::strrchr(directory, '/');
  const char* name = slash == nullptr ? stub.path : stub.path + (slash - directory) + 1;
  if (slash != nullptr) *slash = '\0';
  const int parent = open_beneath(upper, slash == nullptr ? "." : directory, O_RDONLY | O_DIRECTORY);
  if (parent < 0) return;  // the step replaced what led here: it is the step's now
  struct stat info{}, before{};
  if (fstat(parent, &before) == 0 && fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    bool removed = false;
    if (stub.directory)
      removed = S_ISDIR(info.st_mode) && unlinkat(parent, name, AT_REMOVEDIR) == 0;  // only when empty
    else
      removed = S_ISREG(info.st_mode) && info.st_size == 0 && unlinkat(parent, name, 0) == 0;
    if (removed && same(before.st_mtim, stub.parent_after)) {
      const timespec times[2] = {{0, UTIME_OMIT}, stub.parent_before};
      (void)futimens(parent, times);
    }
  }
  close(parent);
}

}  // namespace

StubLog* make_stub_log() {
  void* memory = mmap(nullptr, sizeof(StubLog), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail(errno, "cannot get memory");
  return static_cast<StubLog*>(memory);
}

int open_mount_point(int root, const char* path, bool directory, bool over_link, StubLog& log) {
  const int flags = O_PATH | (over_link ? O_NOFOLLOW : 0);
  int found = open_in_root(root, path, flags);
  if (found >= 0 || errno != ENOENT) return found;
  const char* slash = std::strrchr(path, '/');
  const int parent = open_parent(root, path, slash, log);
  if (parent < 0) return -1;
  if (make_stub(root, parent, slash + 1, directory, log) == 0)
    found = openat(parent, slash + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  const int error = errno;
  close(parent);
  errno = error;
  return found;
}

void remove_stubs(int upper, const StubLog& log) {
  for (std::uint32_t i = log.count; i > 0; --i) remove_stub(upper, log.stubs[i - 1]);
}

}  // namespace slipway::init
