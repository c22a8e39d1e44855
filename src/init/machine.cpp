#include "init/machine.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "init/mounts.hpp"
#include "init/path.hpp"
#include "init/report.hpp"

namespace slipway::init {
namespace {

constexpr std::uint64_t kInert = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// moby oci/defaults.go: what of /proc and /sys a container does not see, and what it sees read-only.
constexpr const char* kMaskedProc[] = {"asound",        "acpi",       "interrupts",  "kcore",       "keys",
                                       "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi"};
constexpr const char* kReadOnlyProc[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
constexpr const char* kMaskedSys[] = {"firmware", "devices/virtual/powercap"};

/// A directory directly below the root that must be one: never a symlink, never a file.
int own_directory(int root, const char* name, StubLog& log) {
  int found = open_beneath(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (found < 0 && errno == ENOENT) {
    const int made = open_mount_point(root, Path("/%s", name).text, true, true, log);
    if (made >= 0) close(made);
    found = open_beneath(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  }
  if (found < 0 && (errno == ENOTDIR || errno == ELOOP))
    fail(0, "/%s of the image is a symlink or a file, not a directory: no step can run on it", name);
  if (found < 0) fail(errno, "cannot open /%s of the image", name);
  return found;
}

void attach_to(int mount, int target, const char* name) {
  if (attach_upon(mount, target) < 0) fail(errno, "cannot attach %s", name);
  close(target);
}

/// Covers `name` below the trusted mount `at`: a directory by an empty one, a file by our null device, never by what
/// the image calls /dev/null (CVE-2025-31133).
void mask(int at, const char* name, int null_device) {
  const int target = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (target < 0) return;  // this kernel has none
  struct stat info{};
  if (fstat(target, &info) < 0) fail(errno, "cannot look at %s", name);
  int cover = -1;
  if (S_ISDIR(info.st_mode)) {
    const Setting settings[] = {{"mode", "0755"}, {"size", "4k"}, {"nr_inodes", "2"}};
    cover = need_mount("an empty directory", "tmpfs", settings, 3, kInert | MOUNT_ATTR_RDONLY);
  } else {
    cover = clone_mount(null_device, "", AT_EMPTY_PATH);
  }
  if (cover < 0) fail(errno, "cannot clone the null device");
  attach_to(cover, target, name);
  close(cover);
}

void make_read_only(int at, const char* name) {
  const int copy = clone_mount(at, name, AT_RECURSIVE);
  if (copy < 0) {
    if (errno == ENOENT) return;
    fail(errno, "cannot clone /proc/%s", name);
  }
  if (set_attributes(copy, MOUNT_ATTR_RDONLY, true) < 0) fail(errno, "cannot make /proc/%s read-only", name);
  if (attach(copy, at, name) < 0) fail(errno, "cannot attach /proc/%s", name);
  close(copy);
}

void put_file_system(int dev, const char* name, const char* type, const Setting* settings, unsigned count,
                     std::uint64_t attributes, bool optional) {
  char why[512];
  const int mount = make_mount(type, settings, count, attributes, why);
  if (mount < 0) {
    if (optional) return;
    fail(errno, "cannot mount /dev/%s%s", name, why);
  }
  if (mkdirat(dev, name, 0755) < 0) fail(errno, "cannot make /dev/%s", name);
  if (attach(mount, dev, name) < 0) fail(errno, "cannot attach /dev/%s", name);
  close(mount);
}

/// Gives a descriptor of the attached null device.
int mount_dev(const StepOrders& orders, int root, const Devices& devices, StubLog& log) {
  const Setting settings[] = {{"mode", "0755"}, {"size", "64k"}};
  const int dev = need_mount("/dev", "tmpfs", settings, 2, MOUNT_ATTR_NOSUID);
  attach_to(dev, own_directory(root, "dev", log), "/dev");
  int null_device = -1;
  for (unsigned i = 0; i < Devices::kCount; ++i) {
    if (devices.mounts[i] < 0) continue;
    const char* name = Devices::kNames[i];
    const int file = openat(dev, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) fail(errno, "cannot make /dev/%s", name);
    close(file);
    if (attach(devices.mounts[i], dev, name) < 0) fail(errno, "cannot attach /dev/%s", name);
    if (i == 0)
      null_device = devices.mounts[i];
    else
      close(devices.mounts[i]);
  }
  constexpr const char* kLinks[][2] = {{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
                                       {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
                                       {"ptmx", "pts/ptmx"},          {"core", "/proc/kcore"}};
  for (const auto& [name, target] : kLinks)
    if (symlinkat(target, dev, name) < 0) fail(errno, "cannot make /dev/%s", name);
  // Group 5 is tty everywhere; a range too small to have it gets the plain mount.
  const Setting terminals[] = {{"newinstance", nullptr}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}};
  char why[512];
  const int pts = make_mount("devpts", terminals, 4, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, why);
  if (pts >= 0) {
    if (mkdirat(dev, "pts", 0755) < 0 || attach(pts, dev, "pts") < 0) fail(errno, "cannot attach /dev/pts");
    close(pts);
  } else {
    put_file_system(dev, "pts", "devpts", terminals, 3, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false);
  }
  char size[32];
  (void)snprintf(size, sizeof size, "%llu", static_cast<unsigned long long>(orders.shm_bytes));
  const Setting memory[] = {{"mode", "1777"}, {"size", size}};
  put_file_system(dev, "shm", "tmpfs", memory, 2, kInert, false);
  put_file_system(dev, "mqueue", "mqueue", nullptr, 0, kInert, true);
  close(dev);
  return null_device;
}

void mount_proc(const StepOrders& orders, int root, int null_device, StubLog& log) {
  char why[512];
  const int proc = make_mount("proc", nullptr, 0, kInert, why);
  if (proc < 0 && errno == EPERM)
    fail(EPERM,
         "cannot mount a fresh /proc: the machine's own /proc has masked paths (run the job with an unmasked /proc: "
         "docker --security-opt systempaths=unconfined, Kubernetes procMount: Unmasked)");
  if (proc < 0) fail(errno, "cannot mount /proc%s", why);
  attach_to(proc, own_directory(root, "proc", log), "/proc");
  // Unmasked, what belongs to the machine is still its root's, who is nobody in a step.
  for (const char* name : kMaskedProc)
    if (!orders.insecure) mask(proc, name, null_device);
  for (const char* name : kReadOnlyProc)
    if (!orders.insecure) make_read_only(proc, name);
  close(proc);
}

void mount_sys(const StepOrders& orders, int root, int null_device, StubLog& log) {
  char why[512];
  int sys = -1;
  // A fresh one shows the devices of the network namespace; its owner alone may mount it.
  const std::uint64_t attributes = kInert | (orders.insecure ? 0 : MOUNT_ATTR_RDONLY);
  if (orders.network != Network::kHost) sys = make_mount("sysfs", nullptr, 0, attributes, why);
  if (sys < 0) {
    sys = clone_mount(AT_FDCWD, "/y", AT_RECURSIVE);
    if (sys < 0) fail(errno, "cannot clone /sys");
    if (set_attributes(sys, kInert | MOUNT_ATTR_RDONLY, true) < 0) fail(errno, "cannot make /sys read-only");
  }
  attach_to(sys, own_directory(root, "sys", log), "/sys");
  if (orders.cgroup_mount) {
    const int group = make_mount("cgroup2", nullptr, 0, kInert | MOUNT_ATTR_RDONLY, why);
    if (group >= 0) {
      (void)attach(group, sys, "fs/cgroup");  // its absence only hides limits from the step
      close(group);
    }
  }
  for (const char* name : kMaskedSys)
    if (!orders.insecure) mask(sys, name, null_device);
  close(sys);
}

}  // namespace

void mount_machine(const StepOrders& orders, int root, const Devices& devices, StubLog& log) {
  const int null_device = mount_dev(orders, root, devices, log);
  mount_proc(orders, root, null_device, log);
  mount_sys(orders, root, null_device, log);
  close(null_device);
}

}  // namespace slipway::init
