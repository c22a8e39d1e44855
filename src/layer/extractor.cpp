#include "layer/extractor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "layer/capability.hpp"
#include "layer/entry_path.hpp"
#include "layer/owner.hpp"
#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::layer {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
constexpr int kMaxLinks = 40;  // as the kernel's path walk
constexpr std::uint32_t kSetId = 06000;
constexpr std::uint32_t kMaxMajor = 0xfff;
constexpr std::uint32_t kMaxMinor = 0xfffff;

timespec to_timespec(Timestamp time) { return {.tv_sec = time.seconds, .tv_nsec = time.nanoseconds}; }

bool is_device(EntryType type) { return type == EntryType::kCharDevice || type == EntryType::kBlockDevice; }

mode_t type_bits(EntryType type) {
  if (type == EntryType::kCharDevice) return S_IFCHR;
  return type == EntryType::kBlockDevice ? S_IFBLK : S_IFIFO;
}

/// Labels of another machine's security modules mean nothing here; of security.* only capabilities are an image's own.
bool is_wanted_xattr(std::string_view name) {
  if (is_control_xattr(name)) return false;
  return !name.starts_with("security.") || name == kCapabilityXattr;
}

/// Whether an attribute may be left out because this place can not hold it.
bool may_lack(std::string_view name, int error, EntryType type, Ownership ownership) {
  if (error != EPERM && error != EACCES && error != EOPNOTSUPP) return false;
  if (ownership == Ownership::kIgnored) return true;
  if (name.starts_with("user.")) return type != EntryType::kFile && type != EntryType::kDirectory;
  return name != kCapabilityXattr;  // trusted.* and ACLs: as docker, where a namespace or a file system refuses them
}

/// The first component below a whiteout's name: ".wh.x/y" can be no member of a layer.
enum class Below : unsigned char { kNothing, kWhiteout, kAufs };
Below below_whiteout(std::string_view parent) {
  while (!parent.empty()) {
    if (parent.starts_with(kAufsPrefix)) return Below::kAufs;
    if (parent.starts_with(kWhiteoutPrefix)) return Below::kWhiteout;
    const auto slash = parent.find('/');
    if (slash == std::string_view::npos) break;
    parent.remove_prefix(slash + 1);
  }
  return Below::kNothing;
}

}  // namespace

Status Extractor::check_limits(const Entry& entry) {
  if (++entries_ > options_.limits.entries)
    return fail(Code::kOutOfRange, "the archive has more than {} entries", options_.limits.entries);
  if (entry.size > options_.limits.unpacked_bytes - tree_bytes_)
    return fail(Code::kOutOfRange, "the archive's files have more than {} bytes", options_.limits.unpacked_bytes);
  tree_bytes_ += entry.size;
  if (entry.link_target.size() >= PATH_MAX)
    return fail(Code::kOutOfRange, "a link target of {} bytes is too long", entry.link_target.size());
  return {};
}

Status Extractor::add(const Entry& entry) {
  TRY(cancel_.check());
  TRY(check_limits(entry));
  const std::string path = TRY(clean_path(entry.path, options_.limits));
  if (path.empty()) return set_root(entry);
  return context(add_at(entry, path), "while unpacking {}", quoted(path));
}

Status Extractor::add_at(const Entry& entry, const std::string& path) {
  PathParts parts = split_path_parts(path);
  if (options_.whiteouts != Whiteouts::kLiteral) {
    switch (below_whiteout(parts.parent)) {
      case Below::kAufs:
        return {};
      case Below::kWhiteout:
        return fail(Code::kInvalidArgument, "the member lies below a whiteout");
      case Below::kNothing:
        break;
    }
    if (parts.name.starts_with(kWhiteoutPrefix)) return add_whiteout(parts.parent, parts.name, path);
  }
  const Place place{TRY(directory(parts.parent, true)), std::move(parts.name), path};
  TRY(make(entry, place));
  remember(place);
  return {};
}

Status Extractor::make(const Entry& entry, const Place& place) {
  switch (entry.type) {
    case EntryType::kFile:
      return make_file(entry, place);
    case EntryType::kDirectory:
      return make_directory(entry, place);
    case EntryType::kSymlink:
      return make_symlink(entry, place);
    case EntryType::kHardLink:
      return make_hard_link(entry, place);
    case EntryType::kCharDevice:
    case EntryType::kBlockDevice:
    case EntryType::kFifo:
      return make_special(entry, place);
  }
  std::unreachable();
}

template <class Create>
Status Extractor::create_replacing(const Place& place, Create create) {
  place.parent->dirty = true;
  if (create() >= 0) return {};
  if (errno == EEXIST) {
    TRY(remove(place));
    if (create() >= 0) return {};
  }
  return fail_errno("cannot create it");
}

Status Extractor::remove(const Place& place) {
  place.parent->dirty = true;
  cache_.forget_paths();
  return sys::remove_tree(place.parent->fd.get(), place.name);
}

// --- the kinds of members ---

Status Extractor::make_file(const Entry& entry, const Place& place) {
  int number = -1;
  TRY(create_replacing(place, [&] {
    number = ::openat(place.parent->fd.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      entry.mode & 0777);
    return number;
  }));
  const sys::Fd fd(number);
  TRY(write_content(entry, fd.get()));
  return set_metadata(entry, fd.get(), TRY(sys::stat_fd(fd.get(), place.path)));
}

Status Extractor::write_content(const Entry& entry, int fd) {
  std::int64_t end = 0;
  while (true) {
    const auto piece = TRY(content_.read());
    if (piece.bytes.empty()) break;
    TRY(cancel_.check());
    TRY(sys::write_all_at(fd, piece.bytes, piece.offset));
    end = piece.offset + static_cast<std::int64_t>(piece.bytes.size());
  }
  // A sparse file may end in a hole.
  if (end != entry.size && ::ftruncate(fd, entry.size) < 0) return fail_errno("cannot set its size");
  return {};
}

Status Extractor::make_directory(const Entry& entry, const Place& place) {
  const int at = place.parent->fd.get();
  bool hides_lower = false;
  place.parent->dirty = true;
  if (::mkdirat(at, place.name.c_str(), 0700) < 0) {
    if (errno != EEXIST) return fail_errno("cannot create it");
    const auto existing = TRY(sys::lstat_at(at, place.name));
    if (!existing || !S_ISDIR(existing->st_mode)) {
      // A whiteout and a directory of one name in one layer: the lower directory is gone, this one is new.
      hides_lower = options_.whiteouts == Whiteouts::kOverlay && existing && is_whiteout(*existing);
      TRY(remove(place));
      if (::mkdirat(at, place.name.c_str(), 0700) < 0) return fail_errno("cannot create it");
    }
  }
  sys::Fd fd = TRY(sys::open_at(at, place.name, kOpenDirectory));
  if (hides_lower) TRY(set_opaque(fd.get(), place.path));
  TRY(set_metadata(entry, fd.get(), TRY(sys::stat_fd(fd.get(), place.path))));
  // Its members come next, most likely.
  const Slot* slot = cache_.find(place.path);
  if (slot == nullptr) slot = TRY(cache_.insert(place.path, std::move(fd)));
  cache_.set_mtime(*slot, to_timespec(entry.mtime));
  return {};
}

Status Extractor::set_root(const Entry& entry) {
  if (entry.type != EntryType::kDirectory)
    return fail(Code::kInvalidArgument, "the archive's member {} would replace the root directory itself",
                quoted(entry.path));
  Slot* slot = TRY(directory("", true));
  TRY(set_metadata(entry, slot->fd.get(), TRY(sys::stat_fd(slot->fd.get(), "/"))));
  cache_.set_mtime(*slot, to_timespec(entry.mtime));
  return {};
}

Status Extractor::make_symlink(const Entry& entry, const Place& place) {
  if (entry.link_target.empty()) return fail(Code::kInvalidArgument, "the symlink has no target");
  TRY(create_replacing(
      place, [&] { return ::symlinkat(entry.link_target.c_str(), place.parent->fd.get(), place.name.c_str()); }));
  return set_metadata_by_name(entry, place);
}

Status Extractor::make_hard_link(const Entry& entry, const Place& place) {
  const std::string target = TRY(clean_path(entry.link_target, options_.limits));
  const PathParts parts = split_path_parts(target);
  const Slot* from = target.empty() ? nullptr : TRY(directory(parts.parent, false));
  const auto info = from == nullptr ? std::nullopt : TRY(sys::lstat_at(from->fd.get(), parts.name));
  if (!info || (options_.whiteouts == Whiteouts::kOverlay && is_whiteout(*info)))
    return fail(Code::kInvalidArgument, "it is a hard link to {}, which is not there", quoted(entry.link_target));
  if (S_ISDIR(info->st_mode))
    return fail(Code::kInvalidArgument, "it is a hard link to the directory {}", quoted(entry.link_target));
  // A link to itself would be removed to make room for itself.
  const auto existing = TRY(sys::lstat_at(place.parent->fd.get(), place.name));
  if (existing && existing->st_ino == info->st_ino && existing->st_dev == info->st_dev) return {};
  // Without AT_SYMLINK_FOLLOW: where the target is a symlink, the link is one more name of the symlink itself.
  return create_replacing(place, [&] {
    return ::linkat(from->fd.get(), parts.name.c_str(), place.parent->fd.get(), place.name.c_str(), 0);
  });
}

Status Extractor::make_special(const Entry& entry, const Place& place) {
  if (entry.dev_major > kMaxMajor || entry.dev_minor > kMaxMinor)
    return fail(Code::kInvalidArgument, "there is no device {}:{}", entry.dev_major, entry.dev_minor);
  const dev_t device = is_device(entry.type) ? makedev(entry.dev_major, entry.dev_minor) : 0;
  // 0:0 would be a whiteout on disk, which only a ".wh." member may ask for.
  if (entry.type == EntryType::kCharDevice && device == 0 && options_.whiteouts != Whiteouts::kApply)
    return make_device_stand_in(entry, place);
  if (options_.inert && is_device(entry.type)) return make_device_stand_in(entry, place);
  const Status made = create_replacing(place, [&] {
    return ::mknodat(place.parent->fd.get(), place.name.c_str(), type_bits(entry.type) | 0600, device);
  });
  if (!made && made.error().sys_errno() == EPERM && is_device(entry.type)) return make_device_stand_in(entry, place);
  TRY(Status(made));
  TRY(set_metadata_by_name(entry, place));
  if (::fchmodat(place.parent->fd.get(), place.name.c_str(), mode_of(entry), AT_SYMLINK_NOFOLLOW) < 0)
    return fail_errno("cannot set its mode");
  return {};
}

Status Extractor::make_device_stand_in(const Entry& entry, const Place& place) {
  int number = -1;
  TRY(create_replacing(place, [&] {
    number = ::openat(place.parent->fd.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      0600);
    return number;
  }));
  const sys::Fd fd(number);
  const auto [uid, gid] = owner_of(entry);
  const std::string value = fmt::format("{}:{}:{}:{:04o}:{}:{}", entry.type == EntryType::kCharDevice ? 'c' : 'b',
                                        entry.dev_major, entry.dev_minor, entry.mode, uid, gid);
  TRY(sys::set_xattr(fd.get(), kDeviceXattr, value, place.path));
  Entry stand_in = entry;
  stand_in.mode = 0;
  if (!options_.inert) stand_in.uid = stand_in.gid = 0;
  TRY(set_metadata(stand_in, fd.get(), TRY(sys::stat_fd(fd.get(), place.path))));
  if (options_.inert || options_.ownership != Ownership::kAsIs || !options_.owner) return {};
  return give(fd.get(), 0, 0, entry.path);  // whoever owns the device, the stand-in is root's
}

// --- metadata ---

std::pair<std::uint32_t, std::uint32_t> Extractor::owner_of(const Entry& entry) const {
  return options_.owner.value_or(std::pair(entry.uid, entry.gid));
}

std::uint32_t Extractor::mode_of(const Entry& entry) const {
  // Set-id bits without their owner would give away the caller's rights.
  return options_.ownership == Ownership::kIgnored || options_.inert ? entry.mode & ~kSetId : entry.mode;
}

Status Extractor::set_metadata(const Entry& entry, int fd, const struct stat& now) {
  const auto [uid, gid] = owner_of(entry);
  mode_t mode_now = now.st_mode & 07777;
  if (options_.ownership == Ownership::kAsIs && (now.st_uid != uid || now.st_gid != gid || records_owners())) {
    TRY(give(fd, uid, gid, entry.path));
    mode_now = ~mode_t{0};  // chown(2) may have taken bits away
  }
  TRY(set_xattrs(entry, fd));  // after chown, which drops capabilities; before the mode, which may forbid writing
  mode_t mode = mode_of(entry);
  if (S_ISDIR(now.st_mode) && (mode & 0700) != 0700 && ::geteuid() != 0) {
    late_modes_.emplace_back(TRY(clean_path(entry.path, options_.limits)), mode);
    mode |= 0700;
  }
  if (mode_now != mode && ::fchmod(fd, mode) < 0) return fail_errno("cannot set its mode");
  const timespec times[2] = {to_timespec(entry.mtime), to_timespec(entry.mtime)};
  if (::futimens(fd, times) < 0) return fail_errno("cannot set its time");
  return {};
}

Status Extractor::set_xattrs(const Entry& entry, int fd) {
  for (const auto& [name, value] : entry.xattrs) {
    if (!is_wanted_xattr(name)) continue;
    const std::string& shown = name == kCapabilityXattr ? without_namespace(value) : value;
    if (::fsetxattr(fd, name.c_str(), shown.data(), shown.size(), 0) == 0) continue;
    if (may_lack(name, errno, entry.type, options_.ownership)) continue;
    return fail_errno("cannot set its attribute {}", quoted(name));
  }
  return {};
}

Status Extractor::set_metadata_by_name(const Entry& entry, const Place& place) {
  const int at = place.parent->fd.get();
  const auto [uid, gid] = owner_of(entry);
  if (options_.ownership == Ownership::kAsIs) TRY(give_at(at, place.name, uid, gid, to_timespec(entry.mtime)));
  for (const auto& [name, value] : entry.xattrs) {
    if (!is_wanted_xattr(name)) continue;
    // setxattr(2) knows no descriptor of a symlink or a device, but takes the name proc gives it.
    const sys::Fd fd = TRY(sys::open_at(at, place.name, O_PATH | O_NOFOLLOW));
    const std::string alias = fmt::format("/proc/self/fd/{}", fd.get());
    if (::setxattr(alias.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
    if (may_lack(name, errno, entry.type, options_.ownership)) continue;
    return fail_errno("cannot set its attribute {}", quoted(name));
  }
  const timespec times[2] = {to_timespec(entry.mtime), to_timespec(entry.mtime)};
  if (::utimensat(at, place.name.c_str(), times, AT_SYMLINK_NOFOLLOW) < 0) return fail_errno("cannot set its time");
  return {};
}

Status Extractor::finish() {
  TRY(cache_.flush());
  // Inner ones first, so that the outer ones still let us through.
  std::sort(late_modes_.begin(), late_modes_.end());
  for (auto late = late_modes_.rbegin(); late != late_modes_.rend(); ++late) {
    const auto dir = sys::open_in_root(root_, late->first.empty() ? "." : late->first, kOpenDirectory);
    if (!dir) continue;  // replaced by a later member
    if (::fchmod(dir->get(), late->second) < 0) return fail_errno("cannot set the mode of {}", quoted(late->first));
  }
  return {};
}

// --- parents ---

Result<Extractor::Slot*> Extractor::directory(const std::string& path, bool create) {
  if (Slot* slot = cache_.find(path)) return slot;
  auto fd = path.empty() ? sys::open_at(root_, ".", O_RDONLY | O_DIRECTORY)
                         : sys::open_in_root(root_, path, O_RDONLY | O_DIRECTORY);
  if (!fd) {
    const int error = fd.error().sys_errno();
    if (error != ENOENT && error != ENOTDIR) return std::unexpected(std::move(fd).error());
    if (!create) return nullptr;
    fd = TRY(walk(path));
  }
  return cache_.insert(path, std::move(*fd));
}

/// Resolves `path` inside the root as openat2(RESOLVE_IN_ROOT) does, and makes what is missing, also behind a dangling
/// symlink. A layer may hold "lib/x" behind its own "lib -> usr/lib" while usr/lib is in a lower layer only.
Result<sys::Fd> Extractor::walk(const std::string& path) {
  std::vector<std::string> todo;  // next component last
  const auto push = [&](std::string_view names) {
    const auto parts = split(names, '/');
    todo.insert(todo.end(), parts.rbegin(), parts.rend());
  };
  std::vector<std::string> done;  // real names from the root on
  sys::Fd at = TRY(sys::open_at(root_, ".", O_RDONLY | O_DIRECTORY));
  int links = 0;
  push(path);
  while (!todo.empty()) {
    const std::string name = std::move(todo.back());
    todo.pop_back();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (done.empty()) continue;
      done.pop_back();
      at = done.empty() ? TRY(sys::open_at(root_, ".", O_RDONLY | O_DIRECTORY))
                        : TRY(sys::open_beneath(root_, join(done, "/"), O_RDONLY | O_DIRECTORY));
      continue;
    }
    const auto info = TRY(sys::lstat_at(at.get(), name));
    if (info && S_ISLNK(info->st_mode)) {
      if (++links > kMaxLinks) return fail(Code::kInvalidArgument, "too many symlinks on the way to {}", quoted(path));
      const std::string target = TRY(sys::readlink_at(at.get(), name));
      if (target.starts_with('/')) {
        done.clear();
        at = TRY(sys::open_at(root_, ".", O_RDONLY | O_DIRECTORY));
      }
      push(target);
      continue;
    }
    at = TRY(step_into(at.get(), name, path));
    done.push_back(name);
  }
  return at;
}

Result<sys::Fd> Extractor::step_into(int at, const std::string& name, const std::string& path) {
  const auto info = TRY(sys::lstat_at(at, name));
  if (info && S_ISDIR(info->st_mode)) return sys::open_at(at, name, kOpenDirectory);
  const bool whiteout = info && options_.whiteouts == Whiteouts::kOverlay && is_whiteout(*info);
  if (info && !whiteout)
    return fail(Code::kInvalidArgument, "{} is not a directory on the way to {}", quoted(name), quoted(path));
  if (whiteout) TRY(sys::unlink_at(at, name));
  TRY(make_parent(at, name));
  sys::Fd fd = TRY(sys::open_at(at, name, kOpenDirectory));
  if (whiteout) TRY(set_opaque(fd.get(), path));
  return fd;
}

Status Extractor::make_parent(int at, const std::string& name) {
  const struct stat above = TRY(sys::stat_fd(at, name));
  if (::mkdirat(at, name.c_str(), 0755) < 0) return fail_errno("cannot create the parent {}", quoted(name));
  Entry entry{.type = EntryType::kDirectory, .path = name, .mode = 0755};
  // No archive tells its time. In a snapshot it is the epoch, so that unpacking twice gives the same tree.
  if (options_.whiteouts != Whiteouts::kOverlay) entry.mtime = now();
  const sys::Fd fd = TRY(sys::open_at(at, name, kOpenDirectory));
  TRY(set_metadata(entry, fd.get(), TRY(sys::stat_fd(fd.get(), name))));
  const timespec times[2] = {above.st_atim, above.st_mtim};
  if (::futimens(at, times) < 0 && errno != EPERM) return fail_errno("cannot set the time above {}", quoted(name));
  return {};
}

// --- whiteouts ---

Status Extractor::add_whiteout(const std::string& parent, std::string_view name, const std::string& path) {
  const bool overlay = options_.whiteouts == Whiteouts::kOverlay;
  if (name == kOpaqueName) {
    Slot* slot = TRY(directory(parent, overlay));
    if (overlay) return set_opaque(slot->fd.get(), path);
    return slot == nullptr ? Status() : remove_lower_children(slot->fd.get(), parent);
  }
  if (name.starts_with(kAufsPrefix)) return {};
  name.remove_prefix(kWhiteoutPrefix.size());
  if (name.empty() || name == "." || name == "..")
    return fail(Code::kInvalidArgument, "the whiteout names nothing that could be removed");
  Slot* slot = TRY(directory(parent, overlay));
  if (slot == nullptr) return {};
  if (!overlay) return hide_lower(*slot, std::string(name), path);

  const std::string gone(name);
  const Place place{slot, gone, path};
  place.parent->dirty = true;
  if (::mknodat(slot->fd.get(), gone.c_str(), S_IFCHR, makedev(0, 0)) == 0) return {};
  if (errno != EEXIST)
    return fail_errno("cannot make a whiteout device; the kernel must be 5.8 or newer, or the caller root");
  // The layer has an entry of this name too: that one stays, and hides what is below it.
  const auto info = TRY(sys::lstat_at(slot->fd.get(), gone));
  if (!info || !S_ISDIR(info->st_mode)) return {};
  const sys::Fd dir = TRY(sys::open_at(slot->fd.get(), gone, kOpenDirectory));
  return set_opaque(dir.get(), path);
}

Status Extractor::set_opaque(int dir, const std::string& path) { return sys::set_xattr(dir, kOpaqueXattr, "y", path); }

/// Whiteouts::kApply. What this very layer made is not meant (layer.md: whiteouts "MUST only apply to resources in
/// lower layers").
Status Extractor::hide_lower(Slot& parent, const std::string& name, const std::string& path) {
  const auto info = TRY(sys::lstat_at(parent.fd.get(), name));
  if (!info) return {};
  if (!made_.contains(key_of(parent.ino, name))) return remove(Place{&parent, name, path});
  if (!S_ISDIR(info->st_mode)) return {};
  const sys::Fd dir = TRY(sys::open_at(parent.fd.get(), name, kOpenDirectory));
  return remove_lower_children(dir.get(), path);
}

Status Extractor::remove_lower_children(int dir, const std::string& path) {
  cache_.forget_paths();
  std::vector<std::string> todo = {"."};  // below `dir`; not recursive: the tree may be deep
  while (!todo.empty()) {
    const std::string below = std::move(todo.back());
    todo.pop_back();
    const sys::Fd at = TRY(sys::open_beneath(dir, below, O_RDONLY | O_DIRECTORY));
    const struct stat info = TRY(sys::stat_fd(at.get(), path));
    for (const auto& name : TRY(sys::list_directory(at.get(), path))) {
      TRY(cancel_.check());
      if (!made_.contains(key_of(info.st_ino, name))) {
        TRY(sys::remove_tree(at.get(), name));
        continue;
      }
      const auto child = TRY(sys::lstat_at(at.get(), name));
      if (child && S_ISDIR(child->st_mode)) todo.push_back(fmt::format("{}/{}", below, name));
    }
    const timespec times[2] = {info.st_atim, info.st_mtim};
    if (::futimens(at.get(), times) < 0 && errno != EPERM) return fail_errno("cannot set the time of {}", quoted(path));
  }
  return {};
}

std::uint64_t Extractor::key_of(ino_t parent, std::string_view name) {
  return std::hash<std::string_view>{}(name) ^ (static_cast<std::uint64_t>(parent) + 1) * 0x9e3779b97f4a7c15U;
}

void Extractor::remember(const Place& place) {
  if (options_.whiteouts == Whiteouts::kApply) made_.insert(key_of(place.parent->ino, place.name));
}

}  // namespace slipway::layer
