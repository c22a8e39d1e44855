#include "init/root.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "init/machine.hpp"
#include "init/mounts.hpp"
#include "init/overlay.hpp"
#include "init/path.hpp"
#include "init/report.hpp"

namespace slipway::init {
namespace {

/// One of the mounts that the orders name, detached: what will lie upon its target.
int make_tree(const StepOrders& orders, const Mount<Borrowed>& wanted, unsigned number) {
  int tree = -1;
  if (wanted.lowers.count == 1 && !wanted.discard_writes) {
    tree = clone_mount(AT_FDCWD, GroundPath(wanted.lowers[0]).text, 0);
    if (tree < 0) fail(errno, "cannot clone a layer for %s", wanted.target.data);
  } else if (wanted.discard_writes) {
    const GroundPath scratch(wanted.scratch);
    Place<Borrowed> upper = wanted.scratch, work = wanted.scratch;
    char* names = static_cast<char*>(allocate(2 * (wanted.scratch.path.size + 8)));
    char* second = names + wanted.scratch.path.size + 8;
    upper.path = {names, static_cast<std::uint32_t>(sprintf(names, "%s/fs", wanted.scratch.path.data))};
    work.path = {second, static_cast<std::uint32_t>(sprintf(second, "%s/work", wanted.scratch.path.data))};
    // What is kept has them already.
    if ((mkdir(GroundPath(upper).text, 0755) < 0 || mkdir(GroundPath(work).text, 0700) < 0) && errno != EEXIST)
      fail(errno, "cannot make a directory for what %s forgets", wanted.target.data);
    tree = mount_overlay(wanted.lowers, &upper, &work, orders.one_call_overlay);
  } else {
    tree = mount_overlay(wanted.lowers, nullptr, nullptr, orders.one_call_overlay);
  }
  if (wanted.read_only && set_attributes(tree, MOUNT_ATTR_RDONLY, false) < 0)
    fail(errno, "cannot make %s read-only", wanted.target.data);
  // A path inside of it can be cloned only once the tree is attached.
  const Path spot("/w/t%u", number);
  if (mkdir(spot.text, 0700) < 0 || attach(tree, AT_FDCWD, spot.text) < 0) fail(errno, "cannot attach a tree");
  const int source = open_in_root(tree, wanted.source.data, O_PATH);
  if (source < 0) fail(errno, "cannot find %s for the mount at %s", wanted.source.data, wanted.target.data);
  const int copy = clone_mount(source, "", AT_EMPTY_PATH);
  if (copy < 0) fail(errno, "cannot clone %s", wanted.source.data);
  close(source);
  close(tree);
  return copy;
}

int make_file(const Mount<Borrowed>& wanted, unsigned number) {
  const Path spot("/w/f%u", number);
  const int file = open(spot.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) fail(errno, "cannot make a file for %s", wanted.target.data);
  for (std::uint32_t done = 0; done < wanted.content.size;) {
    const ssize_t put = write(file, wanted.content.data + done, wanted.content.size - done);
    if (put <= 0) fail(put < 0 ? errno : ENOSPC, "cannot write the file for %s", wanted.target.data);
    done += static_cast<std::uint32_t>(put);
  }
  if (fchown(file, wanted.uid, wanted.gid) < 0 || fchmod(file, wanted.mode) < 0)
    fail(errno, "cannot give the file for %s to %u:%u", wanted.target.data, wanted.uid, wanted.gid);
  close(file);
  const int copy = clone_mount(AT_FDCWD, spot.text, 0);
  if (copy < 0 || set_attributes(copy, MOUNT_ATTR_RDONLY, false) < 0)
    fail(errno, "cannot clone the file for %s", wanted.target.data);
  return copy;
}

/// The builder gets the listening end; the name of the socket is in this mount namespace only and goes with it.
int make_socket(const Mount<Borrowed>& wanted, unsigned number) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (void)snprintf(address.sun_path, sizeof address.sun_path, "/w/s%u", number);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      chown(address.sun_path, wanted.uid, wanted.gid) < 0 || chmod(address.sun_path, wanted.mode) < 0 ||
      listen(listener, SOMAXCONN) < 0)
    fail(errno, "cannot make the socket %s of %u:%u", wanted.target.data, wanted.uid, wanted.gid);
  const int copy = clone_mount(AT_FDCWD, address.sun_path, 0);
  if (copy < 0 || set_attributes(copy, MOUNT_ATTR_RDONLY, false) < 0)
    fail(errno, "cannot clone the socket %s", wanted.target.data);
  answer_descriptor(listener, static_cast<int>(wanted.size));
  close(listener);
  return copy;
}

/// Neither set-id bits nor, on what is no device, devices of the machine mean anything to a step.
int clone_of_host(const Mount<Borrowed>& wanted) {
  const int copy = clone_mount(AT_FDCWD, GroundPath(wanted.lowers[0]).text, AT_RECURSIVE);
  if (copy < 0) fail(errno, "cannot clone what %s shows of the machine", wanted.target.data);
  const std::uint64_t attributes = MOUNT_ATTR_NOSUID | (wanted.device ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV) |
                                   (wanted.read_only ? MOUNT_ATTR_RDONLY : 0);
  if (set_attributes(copy, attributes, true) < 0) fail(errno, "cannot set flags of %s", wanted.target.data);
  return copy;
}

int make_wanted(const StepOrders& orders, const Mount<Borrowed>& wanted, unsigned number) {
  switch (wanted.kind) {
    case MountKind::kTree:
      return make_tree(orders, wanted, number);
    case MountKind::kFile:
      return make_file(wanted, number);
    case MountKind::kDirectory: {
      const int copy = clone_mount(AT_FDCWD, GroundPath(wanted.lowers[0]).text, 0);
      if (copy < 0) fail(errno, "cannot clone the directory for %s", wanted.target.data);
      const std::uint64_t attributes =
          MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (wanted.read_only ? MOUNT_ATTR_RDONLY : 0);
      if (set_attributes(copy, attributes, false) < 0) fail(errno, "cannot set flags of %s", wanted.target.data);
      return copy;
    }
    case MountKind::kSocket:
      return make_socket(wanted, number);
    case MountKind::kHost:
      return clone_of_host(wanted);
    case MountKind::kTmpfs:
      break;
  }
  char size[32];
  (void)snprintf(size, sizeof size, "%llu", static_cast<unsigned long long>(wanted.size));
  const Setting settings[] = {{"mode", "1777"}, {"size", size}};
  return need_mount(wanted.target.data, "tmpfs", settings, wanted.size != 0 ? 2 : 1,
                    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

/// /proc and /sys are trusted by what runs later: nothing may lie upon their files (CVE-2025-52881).
bool is_kernel_view(int fd) {
  struct statfs info{};
  return fstatfs(fd, &info) == 0 && (info.f_type == PROC_SUPER_MAGIC || info.f_type == SYSFS_MAGIC);
}

void mount_wanted(const StepOrders& orders, int root, const Mount<Borrowed>& wanted, unsigned number, StubLog& log) {
  const int source = make_wanted(orders, wanted, number);
  struct stat from{}, to{};
  if (fstat(source, &from) < 0) fail(errno, "cannot look at the mount for %s", wanted.target.data);
  const int target = open_mount_point(root, wanted.target.data, S_ISDIR(from.st_mode), wanted.over_link, log);
  if (target < 0) {
    if (wanted.optional) return (void)close(source);
    fail(errno, "cannot mount at %s", wanted.target.data);
  }
  if (is_kernel_view(target)) fail(EPERM, "cannot mount at %s: it lies in /proc or /sys", wanted.target.data);
  if (fstat(target, &to) < 0) fail(errno, "cannot look at %s", wanted.target.data);
  if (S_ISDIR(from.st_mode) != S_ISDIR(to.st_mode))
    fail(0, "cannot mount a %s at %s: it is a %s in the image", S_ISDIR(from.st_mode) ? "directory" : "file",
         wanted.target.data, S_ISDIR(to.st_mode) ? "directory" : "file");
  if (attach_upon(source, target) < 0) fail(errno, "cannot mount at %s", wanted.target.data);
  close(source);
  close(target);
}

}  // namespace

void assemble_root(const StepOrders& orders, const Devices& devices, StubLog& log) {
  // Secrets and files of ours live here: memory of this mount namespace, gone with it. ("swap" has no lock-out that a
  // user namespace may ask for.) Scripts of heredocs are executed from here.
  const Setting settings[] = {{"mode", "0700"}};
  const int files = need_mount("a tmpfs", "tmpfs", settings, 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (attach(files, AT_FDCWD, "/w") < 0) fail(errno, "cannot attach a tmpfs");
  close(files);

  const int root = mount_overlay(orders.lowers, &orders.upper, &orders.work, orders.one_call_overlay);
  if (attach(root, AT_FDCWD, "/m") < 0) fail(errno, "cannot attach the overlay");
  mount_machine(orders, root, devices, log);
  for (std::uint32_t i = 0; i < orders.mounts.count; ++i) mount_wanted(orders, root, orders.mounts[i], i, log);
  enter_root(root);
  close(root);
}

}  // namespace slipway::init
