#include "init/mounts.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "init/report.hpp"

namespace slipway::init {
namespace {

int configure(int context, const Setting* settings, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    const unsigned command = settings[i].value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    if (fsconfig(context, command, settings[i].key, settings[i].value, 0) < 0) return -1;
  }
  return fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
}

}  // namespace

void explain(int context, char* why, unsigned size) {
  why[0] = '\0';
  char line[512];
  const ssize_t got = read(context, line, sizeof line - 1);  // "e overlay: …"; ENODATA when there is nothing
  if (got <= 2) return;
  line[got] = '\0';
  if (char* end = std::strchr(line, '\n')) *end = '\0';
  (void)snprintf(why, size, " (%s)", line + 2);
}

int make_mount(const char* type, const Setting* settings, unsigned count, std::uint64_t attributes, char* why) {
  why[0] = '\0';
  const int context = fsopen(type, FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int mount = -1;
  if (configure(context, settings, count) == 0)
    mount = fsmount(context, FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
  const int error = errno;
  if (mount < 0) explain(context, why, 512);
  close(context);
  errno = error;
  return mount;
}

int need_mount(const char* name, const char* type, const Setting* settings, unsigned count, std::uint64_t attributes) {
  char why[512];
  const int mount = make_mount(type, settings, count, attributes, why);
  if (mount < 0) fail(errno, "cannot mount %s%s", name, why);
  return mount;
}

int clone_mount(int at, const char* path, unsigned flags) {
  return open_tree(at, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

int set_attributes(int mount, std::uint64_t attributes, bool recursive) {
  mount_attr change{};
  change.attr_set = attributes;
  return mount_setattr(mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &change, sizeof change);
}

int attach(int mount, int at, const char* path) { return move_mount(mount, "", at, path, MOVE_MOUNT_F_EMPTY_PATH); }

int attach_upon(int mount, int target) {
  return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

void enter_root(int root) {
  if (fchdir(root) < 0) fail(errno, "cannot enter the new root");
  // Old and new root at one place: the old one then lies on top and is let go by "." (man 2 pivot_root).
  if (syscall(SYS_pivot_root, ".", ".") < 0)
    fail(errno, "cannot pivot into the new root (is the machine's root a ram disk?)");
  if (umount2(".", MNT_DETACH) < 0) fail(errno, "cannot let the old root go");
  if (chdir("/") < 0) fail(errno, "cannot enter the new root");
}

}  // namespace slipway::init
