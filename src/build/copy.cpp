#include "build/copy.hpp"

#include <sys/sendfile.h>
#include <sys/xattr.h>

#include <array>

#include "base/text.hpp"
#include "build/tree_sum.hpp"
#include "layer/owner.hpp"
#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

Owner owner_for(const struct stat& info, const CopyOptions& options) {
  if (options.owner) return *options.owner;
  if (options.from_stage) return {info.st_uid, info.st_gid};
  return {};
}

mode_t mode_for(const struct stat& info, const CopyOptions& options) {
  return options.mode ? options.mode->apply(info.st_mode) : info.st_mode & 07777;
}

Status copy_xattrs(int from, int to, const std::string& name, bool from_stage) {
  for (const auto& key : TRY(sys::list_xattrs(from, name))) {
    if (!keeps_xattr(key, from_stage)) continue;
    const auto value = TRY(sys::get_xattr(from, key, name));
    if (value) TRY(sys::set_xattr(to, key, *value, name));
  }
  return {};
}

/// Owner before mode: chown clears set-id bits.
Status dress(int fd, const Owner& owner, mode_t mode, const std::string& name) {
  TRY(layer::give(fd, owner.uid, owner.gid, name));
  if (::fchmod(fd, mode) < 0) return fail_errno("cannot set the mode of {}", quoted(name));
  return {};
}

/// A file just made: the kernel gave it most of that already, and each change is a transaction of the file system.
Status dress_file(int fd, const Owner& owner, mode_t mode, const std::string& name) {
  const struct stat made = TRY(sys::stat_fd(fd, name));
  if (made.st_uid != owner.uid || made.st_gid != owner.gid) return dress(fd, owner, mode, name);
  if ((made.st_mode & 07777U) != mode && ::fchmod(fd, mode) < 0)
    return fail_errno("cannot set the mode of {}", quoted(name));
  return {};
}

Status set_times(int fd, const struct stat& info, const std::string& name) {
  const timespec times[2] = {info.st_mtim, info.st_mtim};
  if (::futimens(fd, times) < 0) return fail_errno("cannot set the times of {}", quoted(name));
  return {};
}

/// A directory of the lowers appears in upper as overlay's copy-up would make it.
Status copy_up(const layer::MergedDir& lower, int upper, const std::string& name) {
  struct stat info = TRY(sys::stat_fd(lower.top(), name));
  TRY(layer::recall_owner(lower.top(), info, name));
  TRY(dress(upper, {info.st_uid, info.st_gid}, info.st_mode & 07777, name));
  TRY(copy_xattrs(lower.top(), upper, name, true));
  return set_times(upper, info, name);
}

std::unexpected<Error> became_shorter(const std::string& name) {
  return fail(Code::kAborted, "{} became shorter while it was copied", quoted(name));
}

/// A file that somebody writes to is tried again so often.
constexpr int kCopyAttempts = 8;

std::unexpected<Error> changed_while_copied(const std::string& name) {
  return std::unexpected(Error(Code::kAborted, fmt::format("{} changed while it was copied", quoted(name)))
                             .with_hint("something writes to it all the time: leave it out with .dockerignore"));
}

constexpr std::int64_t kSmallFile = 64 << 10;

/// One read, one write: for a small file everything else costs more than its bytes.
Status copy_small(int from, int to, std::int64_t size, const std::string& name) {
  std::array<char, kSmallFile> buffer;
  std::int64_t at = 0;
  while (at < size) {
    const std::size_t got = TRY(sys::read_some_at(from, buffer.data() + at, static_cast<std::size_t>(size - at), at));
    if (got == 0) return became_shorter(name);
    at += static_cast<std::int64_t>(got);
  }
  return context(sys::write_all_at(to, {buffer.data(), static_cast<std::size_t>(size)}, 0), "while copying {}",
                 quoted(name));
}

/// Bytes from one file to another; holes stay holes. The kernel copies where it can (reflinks on file systems that have
/// them).
Status copy_bytes(int from, int to, const struct stat& info, const std::string& name, const Cancel& cancel) {
  const std::int64_t size = info.st_size;
  if (size <= kSmallFile && info.st_blocks * 512 >= size) return copy_small(from, to, size, name);
  std::int64_t at = 0;
  bool in_kernel = true;
  std::string buffer;
  while (at < size) {
    TRY(cancel.check());
    off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only a hole is left
    if (data < 0) data = at;                // the file system knows no holes
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    const std::int64_t end = hole < 0 ? size : std::min<std::int64_t>(hole, size);
    for (at = data; at < end;) {
      TRY(cancel.check());
      const auto chunk = static_cast<std::size_t>(std::min<std::int64_t>(end - at, 8 << 20));
      if (in_kernel) {
        off_t in = at, out = at;
        const ssize_t moved = ::copy_file_range(from, &in, to, &out, chunk, 0);
        if (moved > 0) {
          at += moved;
          continue;
        }
        if (moved < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
          return fail_errno("cannot copy {}", quoted(name));
        in_kernel = false;
      }
      buffer.resize(std::min<std::size_t>(chunk, 1 << 20));
      const std::size_t got = TRY(sys::read_some_at(from, buffer.data(), buffer.size(), at));
      if (got == 0) return became_shorter(name);
      TRY(context(sys::write_all_at(to, {buffer.data(), got}, at), "while copying {}", quoted(name)));
      at += static_cast<std::int64_t>(got);
    }
  }
  if (::ftruncate(to, size) < 0) return fail_errno("cannot set the size of {}", quoted(name));
  return {};
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

Result<Destination> Destination::open(const std::string& upper, const std::vector<std::string>& lowers) {
  sys::Fd root = TRY(sys::open(upper, O_RDONLY | O_DIRECTORY));
  if (!lowers.empty()) TRY(copy_up(TRY(layer::MergedDir::open_paths({lowers.front()})), root.get(), "/"));
  return Destination(std::move(root), lowers);
}

Result<Tree> Destination::view() const {
  std::vector<sys::Fd> held;
  std::vector<int> layers{root_.get()};
  for (const auto& lower : lowers_) {
    held.push_back(TRY(sys::open(lower, O_RDONLY | O_DIRECTORY)));
    layers.push_back(held.back().get());
  }
  return Tree(TRY(layer::MergedDir::open(layers)), std::nullopt);
}

Result<Destination::Dir> Destination::top() const {
  Dir dir{TRY(sys::open_at(root_.get(), ".", O_RDONLY | O_DIRECTORY)), std::nullopt, ""};
  if (!lowers_.empty()) dir.lower = TRY(layer::MergedDir::open_paths(lowers_));
  return dir;
}

Result<std::optional<struct stat>> Destination::existing(const Dir& dir, const std::string& name) const {
  if (auto info = TRY(sys::lstat_at(dir.fd.get(), name))) return info;
  if (!dir.lower) return std::nullopt;
  const auto found = TRY(dir.lower->find(name));
  return found ? std::optional(found->info) : std::nullopt;
}

Result<Destination::Dir> Destination::enter(const Dir& parent, const std::string& name, const Owner& owner,
                                            bool* fresh) const {
  Dir dir;
  dir.path = join_path(parent.path, name);
  if (parent.lower) {
    const auto found = TRY(parent.lower->find(name));
    if (found && S_ISDIR(found->info.st_mode)) dir.lower = TRY(parent.lower->enter(name));
  }
  const auto there = TRY(existing(parent, name));
  if (there && !S_ISDIR(there->st_mode))
    return fail(Code::kInvalidArgument, "cannot copy to non-directory: /{}", printable(dir.path));
  *fresh = !there;
  const bool in_upper = TRY(sys::lstat_at(parent.fd.get(), name)).has_value();
  if (!in_upper && ::mkdirat(parent.fd.get(), name.c_str(), 0700) < 0)
    return fail_errno("cannot make the directory {}", quoted("/" + dir.path));
  dir.fd = TRY(sys::open_at(parent.fd.get(), name, kDirectory));
  if (in_upper) return dir;
  if (there)
    TRY(copy_up(*dir.lower, dir.fd.get(), dir.path));
  else
    TRY(dress(dir.fd.get(), owner, 0755, dir.path));
  return dir;
}

Result<Destination::Dir> Destination::ensure(const std::string& path, const Owner& owner, bool* fresh) const {
  Dir dir = TRY(top());
  *fresh = false;
  if (path.empty()) return dir;
  for (const auto part : split(path, '/')) dir = TRY(enter(dir, std::string(part), owner, fresh));
  return dir;
}

// Most names are new: the system call itself finds out, instead of a look at each before.
template <class Make>
Status Destination::put(const Dir& dir, const std::string& name, Make make) {
  const auto is_directory = [&] {
    return fail(Code::kInvalidArgument, "cannot replace the directory /{} with a file",
                printable(join_path(dir.path, name)));
  };
  if (make() == 0) {
    // Nothing of upper was in the way. Where the lowers have a directory, the copy as a whole is refused and dropped.
    if (!dir.lower) return {};
    const auto below = TRY(dir.lower->find(name));
    if (below && S_ISDIR(below->info.st_mode)) return is_directory();
    return {};
  }
  if (errno == EEXIST) {
    const auto there = TRY(sys::lstat_at(dir.fd.get(), name));
    if (there && S_ISDIR(there->st_mode)) return is_directory();
    TRY(sys::unlink_at(dir.fd.get(), name));
    // Its inode number may come back at once: only the path tells that this file is another one now.
    std::erase_if(links_, [path = join_path(dir.path, name)](const auto& link) { return link.second == path; });
    if (make() == 0) return {};
  }
  return fail_errno("cannot make {}", quoted("/" + join_path(dir.path, name)));
}

Status Destination::make_directory(const std::string& target, const Owner& owner) {
  const Tree::Resolved at = TRY(TRY(view()).resolve(target, FollowLast::kYes));
  if (at.found && S_ISDIR(at.found->info.st_mode)) return {};
  if (at.found) return fail(Code::kInvalidArgument, "cannot make the directory {}: a file is there", quoted(target));
  bool fresh = false;
  (void)TRY(ensure(at.path, owner, &fresh));
  return {};
}

Status Destination::copy(const Tree& tree, const std::vector<CopySource>& sources, const std::string& target,
                         const CopyOptions& options, const Cancel& cancel) {
  links_.clear();
  const Owner owner = options.owner.value_or(Owner{});
  for (const auto& source : sources) {
    const std::string& path = source.path;
    const Tree::Resolved from = TRY(tree.resolve(path, FollowLast::kYes));
    if (!from.found) return fail(Code::kNotFound, "{}: not found", quoted("/" + path));
    // Anew for each source: the one before may have made what this one lands in.
    const Tree::Resolved at = TRY(TRY(view()).resolve(target, FollowLast::kYes));
    const bool into_directory = target.ends_with('/') || (at.found && S_ISDIR(at.found->info.st_mode));
    if (S_ISDIR(from.found->info.st_mode)) {
      bool fresh = false;
      Dir top = TRY(ensure(at.path, owner, &fresh));
      // The top directory's own metadata is not copied; octal --chmod applies to it as well (measured).
      if (options.mode && options.mode->octal() && ::fchmod(top.fd.get(), options.mode->apply(S_IFDIR)) < 0)
        return fail_errno("cannot set the mode of {}", quoted(target));
      TRY(copy_contents(tree, TRY(tree.open_directory(from)), source.selection, std::move(top), options, cancel));
      continue;
    }
    const std::string name = into_directory ? path.substr(path.rfind('/') + 1) : at.path.substr(at.path.rfind('/') + 1);
    if (name.empty()) return fail(Code::kInvalidArgument, "cannot copy {} over the root directory", quoted("/" + path));
    bool fresh = false;
    const Dir into = TRY(ensure(into_directory ? at.path : directory_of(at.path), owner, &fresh));
    if (into_directory && options.mode && options.mode->octal() && fresh &&
        ::fchmod(into.fd.get(), options.mode->apply(S_IFDIR)) < 0)
      return fail_errno("cannot set the mode of {}", quoted(target));
    TRY(copy_entry(from.parent->dir, from.name(), *from.found, into, name, options, cancel));
  }
  return {};
}

Status Destination::copy_inline(const std::vector<InlineFile>& files, const std::string& target,
                                const CopyOptions& options) {
  const Owner owner = options.owner.value_or(Owner{});
  for (const auto& file : files) {
    const Tree::Resolved at = TRY(TRY(view()).resolve(target, FollowLast::kYes));
    const bool into_directory = target.ends_with('/') || (at.found && S_ISDIR(at.found->info.st_mode));
    const std::string name = into_directory ? file.name : at.path.substr(at.path.rfind('/') + 1);
    bool fresh = false;
    const Dir into = TRY(ensure(into_directory ? at.path : directory_of(at.path), owner, &fresh));
    struct stat info{};
    info.st_mode = S_IFREG | 0644;
    info.st_mtim = options.created;
    const mode_t mode = mode_for(info, options);
    const sys::Fd to = TRY(make_file(into, name, mode));
    TRY(context(sys::write_all(to.get(), file.content), "while writing {}", quoted(name)));
    TRY(dress_file(to.get(), owner, mode, name));
    TRY(set_times(to.get(), info, name));
  }
  return {};
}

Status Destination::take_in(const Archive& archive, const std::string& target, const CopyOptions& options,
                            const Cancel& cancel) {
  const Tree::Resolved at = TRY(TRY(view()).resolve(target, FollowLast::kYes));
  bool fresh = false;
  Dir top = TRY(ensure(at.path, options.owner.value_or(Owner{}), &fresh));
  if (fresh && options.mode && options.mode->octal() && ::fchmod(top.fd.get(), options.mode->apply(S_IFDIR)) < 0)
    return fail_errno("cannot set the mode of {}", quoted(target));
  std::vector<Merging> stack;
  sys::Fd from = TRY(sys::open(archive.directory(), kDirectory));
  stack.push_back(TRY(merge_with(std::move(from), "", std::move(top), archive.names(""))));
  while (!stack.empty()) {
    TRY(cancel.check());
    Merging& merging = stack.back();
    if (merging.next == merging.names.size()) {
      TRY(finish(merging));
      stack.pop_back();
      continue;
    }
    const std::string name = merging.names[merging.next++];
    if (auto below = TRY(take_entry(merging, name, archive))) stack.push_back(*std::move(below));
  }
  return {};
}

Result<Destination::Merging> Destination::merge_with(sys::Fd from, std::string path, Dir to, bool named) const {
  auto names = TRY(sys::list_directory(from.get(), path));
  std::optional<struct stat> metadata;
  if (named) {
    metadata = TRY(sys::stat_fd(from.get(), path));
    TRY(layer::recall_owner(from.get(), *metadata, path));
  }
  return Merging{std::move(from), std::move(path), std::move(names), 0, std::move(to), metadata};
}

Status Destination::finish(const Merging& merging) const {
  if (!merging.metadata) return {};
  const struct stat& info = *merging.metadata;
  const int to = merging.to.fd.get();
  TRY(dress(to, {info.st_uid, info.st_gid}, info.st_mode & 07777U, merging.to.path));
  TRY(copy_xattrs(merging.from.get(), to, merging.to.path, true));
  return set_times(to, info, merging.to.path);
}

Result<std::optional<Destination::Merging>> Destination::take_entry(const Merging& merging, const std::string& name,
                                                                    const Archive& archive) const {
  const auto info = TRY(sys::lstat_at(merging.from.get(), name));
  if (!info) return fail(Code::kAborted, "{} went away while it was moved", quoted(name));
  const bool directory = S_ISDIR(info->st_mode);
  const std::string path = join_path(merging.path, name);
  const auto there = TRY(existing(merging.to, name));
  const bool named = directory && archive.names(path);
  const bool both = directory && there && S_ISDIR(there->st_mode);
  const bool leads_on = directory && there && S_ISLNK(there->st_mode) && !named;
  if (!both && !leads_on) {
    TRY(replace(merging, name, directory));
    return std::nullopt;
  }
  bool fresh = false;
  Dir to;
  if (both) {
    to = TRY(enter(merging.to, name, Owner{}, &fresh));
  } else {
    const auto at = TRY(TRY(view()).resolve(join_path(merging.to.path, name), FollowLast::kYes));
    to = TRY(ensure(at.path, Owner{}, &fresh));
  }
  return TRY(merge_with(TRY(sys::open_at(merging.from.get(), name, kDirectory)), path, std::move(to), named));
}

Status Destination::replace(const Merging& merging, const std::string& name, bool directory) const {
  const int to = merging.to.fd.get();
  if (TRY(sys::lstat_at(to, name))) {
    TRY(sys::remove_tree(to, name));
    // What was removed here also hid what the lowers have.
    const auto below = merging.to.lower ? TRY(merging.to.lower->find(name)) : std::nullopt;
    if (directory && below && S_ISDIR(below->info.st_mode)) {
      const sys::Fd moved = TRY(sys::open_at(merging.from.get(), name, kDirectory));
      TRY(sys::set_xattr(moved.get(), layer::kOpaqueXattr, "y", name));
    }
  }
  auto info = TRY(sys::lstat_at(merging.from.get(), name));
  if (!info) return fail(Code::kAborted, "{} went away while it was moved", quoted(name));
  TRY(layer::recall_owner_at(merging.from.get(), name, *info));
  TRY(sys::rename_at(merging.from.get(), name, to, name));
  // What is recorded of a symlink lies in its directory.
  return S_ISLNK(info->st_mode) ? layer::give_at(to, name, info->st_uid, info->st_gid, info->st_mtim) : Status();
}

Status Destination::copy_contents(const Tree& tree, const Tree::Directory& from, const Selection& selection, Dir to,
                                  const CopyOptions& options, const Cancel& cancel) {
  struct Open {
    Dir dir;
    std::optional<struct stat> times;  // set when all children are in place
  };
  const Owner implicit = options.owner.value_or(Owner{});
  std::vector<Open> stack;
  stack.push_back({std::move(to), std::nullopt});
  SourceWalk walk = TRY(SourceWalk::open(tree, from, selection));
  SourceWalk::Step step;
  while (TRY(walk.next(step))) {
    const Open& top = stack.back();
    switch (step.kind) {
      case SourceWalk::Kind::kEntry:
        TRY(copy_entry(*step.parent, step.name, step.found, top.dir, step.name, options, cancel));
        break;
      case SourceWalk::Kind::kUp:
        if (top.times) TRY(set_times(top.dir.fd.get(), *top.times, top.dir.path));
        stack.pop_back();
        break;
      case SourceWalk::Kind::kDirectory: {
        const struct stat& info = step.found.info;
        bool fresh = false;
        Dir into = TRY(enter(top.dir, step.name, implicit, &fresh));
        if (!step.selected && !fresh) {
          stack.push_back({std::move(into), std::nullopt});
          break;
        }
        TRY(dress(into.fd.get(), owner_for(info, options), mode_for(info, options), into.path));
        if (options.from_stage) TRY(copy_xattrs(step.directory->dir.top(), into.fd.get(), into.path, true));
        stack.push_back({std::move(into), info});
        break;
      }
    }
  }
  return {};
}

Status Destination::copy_entry(const layer::MergedDir& from, const std::string& from_name, const Tree::Found& found,
                               const Dir& into, const std::string& name, const CopyOptions& options,
                               const Cancel& cancel) {
  TRY(cancel.check());
  const struct stat& info = found.info;
  if (S_ISSOCK(info.st_mode)) return {};
  if (TRY(link_again(info, into, name))) return {};
  if (S_ISCHR(info.st_mode) && info.st_rdev == 0)  // on disk it would be a whiteout and hide what is below
    return fail(Code::kInvalidArgument, "cannot copy the character device 0:0 {}", quoted("/" + from_name));
  if (S_ISREG(info.st_mode)) {
    TRY(copy_file(from, from_name, found, into, name, options, cancel));
    note_link(info, into, name);
    return {};
  }

  const std::string path = join_path(into.path, name);
  if (S_ISLNK(info.st_mode)) {
    const std::string target = TRY(from.read_link(from_name, found));
    TRY(put(into, name, [&] { return ::symlinkat(target.c_str(), into.fd.get(), name.c_str()); }));
  } else {
    TRY(put(into, name,
            [&] { return ::mknodat(into.fd.get(), name.c_str(), (info.st_mode & S_IFMT) | 0600, info.st_rdev); }));
  }
  const Owner owner = owner_for(info, options);
  TRY(layer::give_at(into.fd.get(), name, owner.uid, owner.gid, info.st_mtim));
  if (!S_ISLNK(info.st_mode) && ::fchmodat(into.fd.get(), name.c_str(), mode_for(info, options), 0) < 0)
    return fail_errno("cannot set the mode of {}", quoted("/" + path));
  const timespec times[2] = {info.st_mtim, info.st_mtim};
  if (::utimensat(into.fd.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW) < 0)
    return fail_errno("cannot set the times of {}", quoted("/" + path));
  note_link(info, into, name);
  return {};
}

Result<bool> Destination::link_again(const struct stat& info, const Dir& into, const std::string& name) {
  if (info.st_nlink < 2 || S_ISDIR(info.st_mode)) return false;
  const auto found = links_.find({info.st_dev, info.st_ino});
  if (found == links_.end() || found->second == join_path(into.path, name)) return false;
  const std::string first = found->second;
  const Status linked =
      put(into, name, [&] { return ::linkat(root_.get(), first.c_str(), into.fd.get(), name.c_str(), 0); });
  if (linked) return true;
  if (linked.error().sys_errno() == EMLINK) return false;
  return std::unexpected(linked.error());
}

/// What was copied from a file with several names may get its other names too.
void Destination::note_link(const struct stat& info, const Dir& into, const std::string& name) {
  if (info.st_nlink > 1 && !S_ISDIR(info.st_mode)) links_[{info.st_dev, info.st_ino}] = join_path(into.path, name);
}

Result<sys::Fd> Destination::make_file(const Dir& into, const std::string& name, mode_t mode) {
  sys::Fd file;
  TRY(put(into, name, [&] {
    file = sys::Fd(
        ::openat(into.fd.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0777U));
    return file ? 0 : -1;
  }));
  return file;
}

Status Destination::copy_file(const layer::MergedDir& from, const std::string& from_name, const Tree::Found& found,
                              const Dir& into, const std::string& name, const CopyOptions& options,
                              const Cancel& cancel) {
  const std::string path = "/" + join_path(into.path, name);
  for (int attempt = 0;; ++attempt) {
    const sys::Fd source = TRY(from.open_child(from_name, found));
    const struct stat info = TRY(sys::stat_fd(source.get(), from_name));
    if (!S_ISREG(info.st_mode)) return changed_while_copied(from_name);
    const mode_t mode = mode_for(info, options);
    const sys::Fd to = TRY(make_file(into, name, mode));
    Status copied = copy_bytes(source.get(), to.get(), info, path, cancel);
    if (!copied && copied.error().code() != Code::kAborted) return copied;
    // Bytes of one moment only: look again after the last one.
    if (!copied || FileIdentity::of(TRY(sys::stat_fd(source.get(), from_name))) != FileIdentity::of(info)) {
      if (attempt == kCopyAttempts) return changed_while_copied(from_name);
      continue;
    }
    if (options.sums != nullptr && options.changed != nullptr && !options.sums->unchanged(info))
      *options.changed = true;
    struct stat owned = info;
    if (options.from_stage) TRY(layer::recall_owner(source.get(), owned, from_name));
    TRY(dress_file(to.get(), owner_for(owned, options), mode, path));
    TRY(copy_xattrs(source.get(), to.get(), path, options.from_stage));
    return set_times(to.get(), info, path);
  }
}

}  // namespace slipway::build
