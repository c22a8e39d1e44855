#include "sys/file.hpp"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <cstdlib>
#include <memory>

#include "base/text.hpp"

namespace slipway::sys {
namespace {

template <class Call>
auto retry(Call call) {
  decltype(call()) result;
  do result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

Result<Fd> open_resolved(int root, const std::string& path, int flags, mode_t mode, std::uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = resolve;
  // EAGAIN: a rename raced with the walk (man 2 openat2); the call is safe to repeat.
  for (int attempt = 0; attempt < 64; ++attempt) {
    const long number = retry([&] { return syscall(SYS_openat2, root, path.c_str(), &how, sizeof how); });
    if (number >= 0) return Fd(static_cast<int>(number));
    if (errno != EAGAIN) break;
  }
  return fail_errno("cannot open {}", quoted(path));
}

}  // namespace

Result<Fd> open_at(int at, const std::string& path, int flags, mode_t mode) {
  const int number = retry([&] { return ::openat(at, path.c_str(), flags | O_CLOEXEC, mode); });
  if (number < 0) return fail_errno("cannot open {}", printable(path));
  return Fd(number);
}

Result<Fd> open_in_root(int root, const std::string& path, int flags, mode_t mode) {
  return open_resolved(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

Result<Fd> open_beneath(int root, const std::string& path, int flags, mode_t mode) {
  return open_resolved(root, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

Result<Fd> duplicate(int fd) {
  const int number = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (number < 0) return fail_errno("cannot duplicate a descriptor");
  return Fd(number);
}

Result<std::size_t> read_some(int fd, void* buffer, std::size_t size) {
  const auto got = retry([&] { return ::read(fd, buffer, size); });
  if (got < 0) return fail_errno("cannot read");
  return static_cast<std::size_t>(got);
}

Result<std::size_t> read_some_at(int fd, void* buffer, std::size_t size, std::int64_t offset) {
  const auto got = retry([&] { return ::pread(fd, buffer, size, offset); });
  if (got < 0) return fail_errno("cannot read");
  return static_cast<std::size_t>(got);
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto put = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (put < 0) return fail_errno("cannot write");
    if (put == 0) return fail(Code::kResourceExhausted, "cannot write: no progress");
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Status write_all_at(int fd, std::string_view bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const auto put = retry([&] { return ::pwrite(fd, bytes.data(), bytes.size(), offset); });
    if (put < 0) return fail_errno("cannot write");
    if (put == 0) return fail(Code::kResourceExhausted, "cannot write: no progress");
    bytes.remove_prefix(static_cast<std::size_t>(put));
    offset += put;
  }
  return {};
}

Result<std::string> read_all(int fd, std::int64_t limit) {
  std::string out;
  struct stat info{};
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    if (info.st_size > limit) return fail(Code::kOutOfRange, "the file is larger than {} bytes", limit);
    out.reserve(static_cast<std::size_t>(info.st_size));
  }
  std::string buffer(64 * 1024, '\0');
  while (true) {
    const std::size_t got = TRY(read_some(fd, buffer.data(), buffer.size()));
    if (got == 0) return out;
    if (static_cast<std::int64_t>(out.size() + got) > limit)
      return fail(Code::kOutOfRange, "the file is larger than {} bytes", limit);
    out.append(buffer, 0, got);
  }
}

Result<std::string> read_file(const std::string& path, std::int64_t limit) {
  // Not even the open of a fifo may wait, and a device may never end.
  const Fd fd = TRY(open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK));
  if (!S_ISREG(TRY(stat_fd(fd.get(), path)).st_mode))
    return fail(Code::kInvalidArgument, "{} is no regular file", printable(path));
  return context(read_all(fd.get(), limit), "while reading {}", printable(path));
}

Status sync(int fd, const std::string& name) {
  if (retry([&] { return ::fsync(fd); }) < 0) return fail_errno("cannot make {} durable", printable(name));
  return {};
}

Status sync_file_system(int fd, const std::string& name) {
  if (::syncfs(fd) < 0) return fail_errno("cannot make the file system of {} durable", printable(name));
  return {};
}

Status close_checked(Fd fd, const std::string& name) {
  if (::close(fd.release()) < 0 && errno != EINTR) return fail_errno("cannot close {}", printable(name));
  return {};
}

Status sync_directory(const std::string& path) {
  const Fd fd = TRY(open(path, O_RDONLY | O_DIRECTORY));
  return sync(fd.get(), path);
}

Status replace_file(const std::string& path, std::string_view bytes, mode_t mode) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::string temporary = path + ".XXXXXX";
  Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return fail_errno("cannot create a file beside {}", printable(path));
  const auto put = [&]() -> Status {
    TRY(context(write_all(fd.get(), bytes), "while writing {}", printable(path)));
    if (::fchmod(fd.get(), mode) < 0) return fail_errno("cannot set the mode of {}", printable(path));
    TRY(sync(fd.get(), path));
    TRY(close_checked(std::move(fd), path));
    TRY(rename_at(AT_FDCWD, temporary, AT_FDCWD, path));
    return sync_directory(directory);
  };
  Status done = put();
  if (!done) ::unlink(temporary.c_str());
  return done;
}

Result<struct stat> stat_fd(int fd, const std::string& name) {
  struct stat info{};
  if (::fstat(fd, &info) < 0) return fail_errno("cannot stat {}", printable(name));
  return info;
}

Result<std::optional<struct stat>> lstat_at(int at, const std::string& path) {
  struct stat info{};
  if (::fstatat(at, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return info;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  return fail_errno("cannot stat {}", printable(path));
}

Result<std::string> readlink_at(int at, const std::string& path) {
  std::string target(4097, '\0');
  const auto length = ::readlinkat(at, path.c_str(), target.data(), target.size());
  if (length < 0) return fail_errno("cannot read the link {}", printable(path));
  target.resize(static_cast<std::size_t>(length));
  return target;
}

Status make_directories(const std::string& path, mode_t mode) {
  for (std::size_t at = 1; at <= path.size(); ++at) {
    if (at < path.size() && path[at] != '/') continue;
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), mode) == 0 || errno == EEXIST) continue;
    const int number = errno;
    struct stat info{};  // EROFS and EACCES also come for directories that are there
    if (::stat(part.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
    return std::unexpected(errno_error(number, "cannot create the directory " + printable(part)));
  }
  const Fd fd = TRY(open(path.empty() ? "." : path, O_PATH | O_DIRECTORY));
  return {};
}

Status rename_at(int from_at, const std::string& from, int to_at, const std::string& to) {
  if (::renameat(from_at, from.c_str(), to_at, to.c_str()) < 0)
    return fail_errno("cannot rename {} to {}", printable(from), printable(to));
  return {};
}

Status unlink_at(int at, const std::string& name, int flags) {
  if (::unlinkat(at, name.c_str(), flags) < 0 && errno != ENOENT)
    return fail_errno("cannot remove {}", printable(name));
  return {};
}

Result<std::vector<std::string>> list_directory(int dir, const std::string& name) {
  // A descriptor of its own: the position of a shared one would be moved for everyone.
  const int own = ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return fail_errno("cannot list {}", printable(name));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own), &::closedir);
  if (!stream) {
    const int number = errno;
    ::close(own);
    return std::unexpected(errno_error(number, "cannot list " + printable(name)));
  }
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view entry_name = entry->d_name;
    if (entry_name != "." && entry_name != "..") names.emplace_back(entry_name);
  }
  if (errno != 0) return fail_errno("cannot list {}", printable(name));
  return names;
}

namespace {

/// A directory whose names are being removed.
struct Removal {
  Fd dir;
  std::string name;
  std::vector<std::string> names;
  std::size_t next = 0;
};

Result<std::optional<Removal>> enter_to_remove(int at, const std::string& name, dev_t device) {
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  auto opened = open_at(at, name, flags);
  if (!opened && opened.error().sys_errno() == EACCES && ::fchmodat(at, name.c_str(), 0700, 0) == 0)
    opened = open_at(at, name, flags);
  if (!opened && opened.error().sys_errno() == ENOENT) return std::nullopt;
  Fd dir = TRY(std::move(opened));
  const struct stat info = TRY(stat_fd(dir.get(), name));
  if (info.st_dev != device)
    return fail(Code::kFailedPrecondition, "{} is a mount point and is left alone", printable(name));
  if ((info.st_mode & 0700) != 0700 && ::fchmod(dir.get(), 0700) < 0)
    return fail_errno("cannot enter {}", printable(name));
  auto names = TRY(list_directory(dir.get(), name));
  return Removal{std::move(dir), name, std::move(names), 0};
}

// A hostile tree may be deeper than the stack and the table of descriptors: what lies deeper than kDepth is moved up
// into the top directory first and removed from there.
Status remove_content(int at, const std::string& name, dev_t device) {
  constexpr std::size_t kDepth = 64;
  std::vector<Removal> stack;
  std::size_t lifted = 0;
  auto top = TRY(enter_to_remove(at, name, device));
  if (!top) return {};
  stack.push_back(*std::move(top));
  while (true) {
    Removal& here = stack.back();
    if (here.next == here.names.size()) {
      if (stack.size() == 1) return {};
      const std::string done = std::move(here.name);
      stack.pop_back();
      TRY(unlink_at(stack.back().dir.get(), done, AT_REMOVEDIR));
      continue;
    }
    const std::string entry = here.names[here.next++];
    if (::unlinkat(here.dir.get(), entry.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return fail_errno("cannot remove {}", printable(entry));
    if (stack.size() >= kDepth) {
      const std::string up = fmt::format(".slipway-remove-{}", lifted++);
      if (::renameat(here.dir.get(), entry.c_str(), stack.front().dir.get(), up.c_str()) < 0)
        return fail_errno("cannot move {} up to remove it", printable(entry));
      stack.front().names.push_back(up);
      continue;
    }
    auto below = TRY(enter_to_remove(here.dir.get(), entry, device));
    if (below) stack.push_back(*std::move(below));
  }
}

}  // namespace

Status remove_tree(int at, const std::string& name) {
  struct stat info{};
  if (::fstatat(at, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return {};
    return fail_errno("cannot remove {}", printable(name));
  }
  if (!S_ISDIR(info.st_mode)) return unlink_at(at, name);
  TRY(remove_content(at, name, info.st_dev));
  return unlink_at(at, name, AT_REMOVEDIR);
}

Result<TempDir> TempDir::make(const std::string& parent, const std::string& prefix) {
  std::string path = parent + "/" + prefix + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno("cannot create a directory in {}", printable(parent));
  return TempDir(std::move(path));
}

TempDir::~TempDir() {
  if (!path_.empty()) (void)remove_tree(AT_FDCWD, path_);
}

Result<std::vector<std::string>> list_xattrs(int fd, const std::string& name) {
  std::string buffer;
  ssize_t length = ::flistxattr(fd, nullptr, 0);
  if (length > 0) {
    buffer.resize(64 * 1024);
    length = ::flistxattr(fd, buffer.data(), buffer.size());
  }
  if (length < 0) {
    if (errno == EOPNOTSUPP) return std::vector<std::string>{};
    return fail_errno("cannot list the extended attributes of {}", printable(name));
  }
  std::vector<std::string> names;
  for (std::string_view rest(buffer.data(), static_cast<std::size_t>(length)); !rest.empty();) {
    const auto end = rest.find('\0');
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  return names;
}

Result<std::optional<std::string>> get_xattr(int fd, const std::string& key, const std::string& name) {
  std::string value(256, '\0');
  ssize_t length = ::fgetxattr(fd, key.c_str(), value.data(), value.size());
  if (length < 0 && errno == ERANGE) {
    value.resize(64 * 1024);
    length = ::fgetxattr(fd, key.c_str(), value.data(), value.size());
  }
  if (length < 0) {
    if (errno == ENODATA || errno == EOPNOTSUPP) return std::nullopt;
    return fail_errno("cannot read the attribute {} of {}", printable(key), printable(name));
  }
  value.resize(static_cast<std::size_t>(length));
  return value;
}

Status set_xattr(int fd, const std::string& key, std::string_view value, const std::string& name) {
  if (::fsetxattr(fd, key.c_str(), value.data(), value.size(), 0) < 0)
    return fail_errno("cannot set the attribute {} of {}", printable(key), printable(name));
  return {};
}

}  // namespace slipway::sys
