#include "layer/join.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>

#include "base/text.hpp"
#include "layer/stack.hpp"
#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::layer {
namespace {

std::string below(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

class Joining {
 public:
  Joining(int into, const Cancel& cancel) : into_(into), cancel_(cancel) {}

  Status add(int layer) {
    std::vector<std::string> pending{""};
    while (!pending.empty()) {
      TRY(cancel_.check());
      const std::string path = std::move(pending.back());
      pending.pop_back();
      TRY(directory(layer, path, pending));
    }
    return {};
  }

  /// Times change with every name that is added: they are set last, from the deepest up.
  Status set_times() const {
    for (auto each = times_.rbegin(); each != times_.rend(); ++each) {
      const auto dir = open_directory_beneath(into_, each->first);
      if (!dir) continue;  // what a later layer removed
      if (::futimens(dir->get(), each->second.data()) < 0)
        return fail_errno("cannot set the times of {}", quoted(each->first));
    }
    return {};
  }

 private:
  Status directory(int layer, const std::string& path, std::vector<std::string>& pending) {
    const sys::Fd from = TRY(open_directory_beneath(layer, path));
    const sys::Fd to = TRY(open_directory_beneath(into_, path));
    if (TRY(is_opaque(from.get(), path))) {
      for (const auto& name : TRY(sys::list_directory(to.get(), path))) TRY(sys::remove_tree(to.get(), name));
      TRY(sys::set_xattr(to.get(), kOpaqueXattr, "y", path));
    }
    TRY(take_attributes(from.get(), to.get(), path));
    for (const auto& name : TRY(sys::list_directory(from.get(), path))) {
      const auto info = TRY(sys::lstat_at(from.get(), name));
      if (!info) return fail(Code::kAborted, "{} vanished while it was read", quoted(below(path, name)));
      if (TRY(entry(from.get(), to.get(), name, *info))) pending.push_back(below(path, name));
    }
    return {};
  }

  /// True for a directory, which is to be gone through.
  static Result<bool> entry(int from, int to, const std::string& name, const struct stat& info) {
    const auto there = TRY(sys::lstat_at(to, name));
    const bool directory = S_ISDIR(info.st_mode) && !is_whiteout(info);
    if (directory && there && S_ISDIR(there->st_mode)) return true;
    if (there) TRY(sys::remove_tree(to, name));
    if (directory) {
      if (::mkdirat(to, name.c_str(), 0700) < 0) return fail_errno("cannot make the directory {}", quoted(name));
      if (!there) return true;
      const sys::Fd made = TRY(sys::open_at(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      TRY(sys::set_xattr(made.get(), kOpaqueXattr, "y", name));
      return true;
    }
    if (is_whiteout(info)) {
      if (::mknodat(to, name.c_str(), S_IFCHR, makedev(0, 0)) < 0)
        return fail_errno("cannot make a whiteout of {}", quoted(name));
      return false;
    }
    if (::linkat(from, name.c_str(), to, name.c_str(), 0) < 0)
      return fail_errno("cannot link {} of a snapshot", quoted(name));
    return false;
  }

  Status take_attributes(int from, int to, const std::string& path) {
    const struct stat info = TRY(sys::stat_fd(from, path));
    for (const auto& key : TRY(sys::list_xattrs(to, path)))
      if (key != kOpaqueXattr && ::fremovexattr(to, key.c_str()) < 0)
        return fail_errno("cannot remove the attribute {} of {}", quoted(key, 128), quoted(path));
    if (::fchown(to, info.st_uid, info.st_gid) < 0) return fail_errno("cannot set the owner of {}", quoted(path));
    if (::fchmod(to, info.st_mode & 07777) < 0) return fail_errno("cannot set the mode of {}", quoted(path));
    for (const auto& key : TRY(sys::list_xattrs(from, path))) {
      if (key == kOpaqueXattr) continue;
      if (const auto value = TRY(sys::get_xattr(from, key, path))) TRY(sys::set_xattr(to, key, *value, path));
    }
    times_[path] = {info.st_atim, info.st_mtim};
    return {};
  }

  int into_;
  const Cancel& cancel_;
  std::map<std::string, std::array<timespec, 2>> times_;
};

}  // namespace

Status join_changes(const std::vector<int>& layers, int into, const Cancel& cancel) {
  Joining joining(into, cancel);
  for (const int layer : layers) TRY(joining.add(layer));
  return joining.set_times();
}

}  // namespace slipway::layer
