#include "init/overlay.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "init/ground.hpp"
#include "init/mounts.hpp"
#include "init/path.hpp"
#include "init/report.hpp"

namespace slipway::init {
namespace {

// "nofollow", not "off": with the kernel's redirect_always_follow, "off" means "follow", which userxattr refuses.
constexpr Setting kModes[] = {
    {"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"}, {"userxattr", nullptr}};

/// Linux ≥ 6.5: one lower per call, so that no list has to fit into a page. -1 when the kernel does not know that.
int by_context(const Span<Place<Borrowed>>& lowers, const Place<Borrowed>* upper, const Place<Borrowed>* work) {
  const int context = fsopen("overlay", FSOPEN_CLOEXEC);
  if (context < 0) fail(errno, "cannot mount an overlay");
  char why[512];
  bool first = true;
  for (const auto& lower : lowers) {
    if (fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", GroundPath(lower).text, 0) < 0) {
      const int error = errno;
      explain(context, why, sizeof why);
      if (first && error == EINVAL) return close(context), -1;
      fail(error, "cannot use %s as a layer of an overlay%s", lower.path.data, why);
    }
    first = false;
  }
  const auto set = [&](const char* key, const char* value) {
    const unsigned command = value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    if (fsconfig(context, command, key, value, 0) == 0) return;
    const int error = errno;
    explain(context, why, sizeof why);
    fail(error, "cannot mount an overlay with %s%s", key, why);
  };
  if (upper != nullptr) {
    set("upperdir", GroundPath(*upper).text);
    set("workdir", GroundPath(*work).text);
    set("volatile", nullptr);
  }
  for (const auto& [key, value] : kModes) set(key, value);
  int mount = fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
  if (mount == 0) mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
  if (mount < 0) {
    const int error = errno;
    explain(context, why, sizeof why);
    fail(error, "cannot mount an overlay of %u layers%s", lowers.count, why);
  }
  close(context);
  return mount;
}

/// Older kernels: all options in one page. Links with short names stand for the layers, so that 500 of them fit.
int by_one_call(const Span<Place<Borrowed>>& lowers, const Place<Borrowed>* upper, const Place<Borrowed>* work) {
  static unsigned serial = 0;
  const Path directory("/w/o%u", serial++);
  if (mkdir(directory.text, 0700) < 0 || chdir(directory.text) < 0)
    fail(errno, "cannot make a directory for an overlay");
  char options[4096];
  std::size_t used = 0;
  const auto add = [&](const char* before, const Place<Borrowed>& place, const char* name) {
    if (symlink(GroundPath(place).text, name) < 0) fail(errno, "cannot link a layer");
    const int size = snprintf(options + used, sizeof options - used, "%s%s", before, name);
    if (size < 0 || static_cast<std::size_t>(size) >= sizeof options - used)
      fail(E2BIG, "cannot mount an overlay of %u layers", lowers.count);
    used += static_cast<std::size_t>(size);
  };
  for (std::uint32_t i = 0; i < lowers.count; ++i)
    add(i == 0 ? "userxattr,metacopy=off,index=off,lowerdir=" : ":", lowers[i], Path("%u", i).text);
  if (upper != nullptr) {
    add(",volatile,upperdir=", *upper, "u");
    add(",workdir=", *work, "w");
  }
  if (mkdir("m", 0700) < 0) fail(errno, "cannot make a directory for an overlay");
  if (mount("overlay", "m", "overlay", 0, options) < 0)
    fail(errno, "cannot mount an overlay of %u layers", lowers.count);
  // A copy that can be moved like the detached ones of by_context().
  const int copy = clone_mount(AT_FDCWD, "m", 0);
  if (copy < 0 || umount2("m", MNT_DETACH) < 0 || chdir("/") < 0) fail(errno, "cannot take the overlay's mount");
  return copy;
}

}  // namespace

int mount_overlay(const Span<Place<Borrowed>>& lowers, const Place<Borrowed>* upper, const Place<Borrowed>* work,
                  bool one_call) {
  const int mount = one_call ? -1 : by_context(lowers, upper, work);
  return mount >= 0 ? mount : by_one_call(lowers, upper, work);
}

}  // namespace slipway::init
