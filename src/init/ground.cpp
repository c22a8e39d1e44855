#include "init/ground.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "init/mounts.hpp"
#include "init/path.hpp"
#include "init/report.hpp"

namespace slipway::init {
namespace {

/// Outside of any user namespace of ours a plain copy is ours to make; in a nested one the kernel gives only whole
/// trees (EINVAL: what is masked must stay masked).
int clone_machine(const char* path) {
  int mount = clone_mount(AT_FDCWD, path, 0);
  if (mount < 0) mount = clone_mount(AT_FDCWD, path, AT_RECURSIVE);
  return mount;
}

int clone_base(const Base<Borrowed>& base) {
  const int mount = clone_machine(base.path.data);
  if (mount < 0) fail(errno, "cannot clone the mount of %s", base.path.data);
  // The mount namespace of the step is owned by the user namespace: what is read-only when it is made stays so there,
  // whatever capabilities a step has (mount_namespaces(7), "locked" flags).
  if (base.read_only && set_attributes(mount, MOUNT_ATTR_RDONLY, true) < 0)
    fail(errno, "cannot make %s read-only", base.path.data);
  if (!base.id_mapped) return mount;
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = kUserNamespaceFd;
  if (mount_setattr(mount, "", AT_EMPTY_PATH, &change, sizeof change) < 0)
    fail(
        errno,
        "cannot map ids of %s: its file system has no id-mapped mounts (overlayfs of a container?); put the store on a "
        "volume or a tmpfs (--root, SLIPWAY_ROOT)",
        base.path.data);
  return mount;
}

bool is_directory(int mount) {
  struct stat info{};
  return fstat(mount, &info) == 0 && S_ISDIR(info.st_mode);
}

void put(int mount, int ground, const char* name) {
  if (mount < 0 || is_directory(mount)) {
    if (mkdirat(ground, name, 0755) < 0) fail(errno, "cannot make the directory %s", name);
  } else {
    const int file = openat(ground, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) fail(errno, "cannot make the file %s", name);
    close(file);
  }
  if (mount >= 0 && attach(mount, ground, name) < 0) fail(errno, "cannot attach the mount %s", name);
  if (mount >= 0) close(mount);
}

}  // namespace

Devices leave_host(const StepOrders& orders) {
  if (unshare(CLONE_NEWNS) < 0) fail(errno, "cannot make a mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) fail(errno, "cannot make mounts private");

  Devices devices;
  for (unsigned i = 0; i < Devices::kCount; ++i) {
    devices.mounts[i] = clone_mount(AT_FDCWD, Path("/dev/%s", Devices::kNames[i]).text, 0);
    if (devices.mounts[i] < 0 && errno != ENOENT) fail(errno, "cannot clone the device /dev/%s", Devices::kNames[i]);
  }
  if (devices.mounts[0] < 0) fail(ENOENT, "cannot clone the device /dev/null");
  const int proc = clone_machine("/proc");
  const int sys = clone_machine("/sys");

  const Setting settings[] = {{"mode", "0755"}, {"size", "1m"}};
  const int ground = need_mount("a tmpfs", "tmpfs", settings, 2, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  int* bases = static_cast<int*>(allocate(sizeof(int) * (orders.bases.count + 1)));
  for (std::uint32_t i = 0; i < orders.bases.count; ++i) bases[i] = clone_base(orders.bases[i]);
  // Upon any directory that is surely there: nobody else sees this mount namespace.
  if (attach(ground, AT_FDCWD, "/proc") < 0) fail(errno, "cannot attach a tmpfs");
  put(-1, ground, "b");
  for (std::uint32_t i = 0; i < orders.bases.count; ++i) put(bases[i], ground, Path("b/%u", i).text);
  put(proc, ground, "p");
  put(sys, ground, "y");
  put(-1, ground, "m");
  put(-1, ground, "w");
  enter_root(ground);
  close(ground);
  return devices;
}

GroundPath::GroundPath(const Place<Borrowed>& place) {
  const int size = snprintf(text, sizeof text, "/b/%u%s%s", place.base, place.path.empty() ? "" : "/", place.path.data);
  if (size < 0 || static_cast<unsigned>(size) >= sizeof text) fail(ENAMETOOLONG, "cannot use a path of %d bytes", size);
}

}  // namespace slipway::init
