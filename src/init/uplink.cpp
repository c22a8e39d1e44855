#include "init/uplink.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "init/namespaces.hpp"
#include "init/path.hpp"
#include "init/report.hpp"
#include "init/routes.hpp"

namespace slipway::init {
namespace {

/// Nobody else is on this link: without it, the first IPv6 connection of a step waits some 2 s for the duplicate
/// address detection of the device that the helper makes. Best effort: the kernel may lack IPv6.
void skip_address_detection() {
  const int file = open("/proc/sys/net/ipv6/conf/default/accept_dad", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  (void)!write(file, "0", 1);
  close(file);
}

/// A fresh network namespace owned by the steps' user namespace, made by a child since the helper must start outside.
int make_network_namespace(const StepOrders& orders) {
  int ready[2], go[2];
  if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0) fail(errno, "cannot make a pipe");
  const pid_t child = fork();
  if (child < 0) fail(errno, "cannot start a process");
  if (child == 0) {
    close(go[1]);
    enter_user_namespace(orders.without_groups);
    if (unshare(CLONE_NEWNET) < 0) fail(errno, "cannot make a network namespace");
    raise_loopback();
    bar(orders.barred);
    skip_address_detection();
    (void)!write(ready[1], "r", 1);
    char byte = 0;
    (void)!read(go[0], &byte, 1);  // until it was opened from outside
    _exit(0);
  }
  close(ready[1]);
  char byte = 0;
  if (read(ready[0], &byte, 1) != 1) _exit(1);  // the child told why
  const int space = open(Path("/proc/%d/ns/net", child).text, O_RDONLY | O_CLOEXEC);
  if (space < 0) fail(errno, "cannot open a new network namespace");
  close(ready[0]);
  close(go[0]);
  close(go[1]);
  (void)waitpid(child, nullptr, 0);
  return space;
}

[[noreturn]] void run_helper(const StepOrders& orders, int space, int ready) {
  // Moved up first: each may stand where another one goes.
  const int high_space = fcntl(space, F_DUPFD, 20);
  const int high_ready = fcntl(ready, F_DUPFD, 20);
  if (high_space < 0 || high_ready < 0 || dup2(high_space, kNetworkNamespaceFd) < 0 || dup2(high_ready, kReadyFd) < 0 ||
      fcntl(kUserNamespaceFd, F_SETFD, 0) < 0)
    fail(errno, "cannot give descriptors to %s", orders.argv[0].data);
  (void)fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  (void)syscall(SYS_close_range, kReadyFd + 1, ~0U, 0);
  auto** argv = static_cast<char**>(allocate(sizeof(char*) * (std::size_t{orders.argv.count} + 1)));
  for (std::uint32_t i = 0; i < orders.argv.count; ++i) argv[i] = const_cast<char*>(orders.argv[i].data);
  char* environment[] = {const_cast<char*>("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                         nullptr};
  (void)execve(argv[0], argv, environment);
  fail(errno, "cannot start %s", argv[0]);
}

/// pid 1 of the helper's pid namespace.
[[noreturn]] void watch_helper(const StepOrders& orders, int space) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) < 0) fail(errno, "cannot make a pipe");
  const pid_t helper = fork();
  if (helper < 0) fail(errno, "cannot start a process");
  if (helper == 0) run_helper(orders, space, ready[1]);
  close(ready[1]);
  const int held = static_cast<int>(syscall(SYS_pidfd_open, helper, 0));
  if (held < 0) fail(errno, "cannot hold the process of %s", orders.argv[0].data);
  pollfd entries[] = {{kControlFd, POLLIN, 0}, {held, POLLIN, 0}, {ready[0], POLLIN, 0}};
  const int woken = poll(entries, 3, static_cast<int>(orders.ready_ms));
  if (entries[0].revents != 0) _exit(1);
  if (woken == 0) fail(ETIMEDOUT, "%s was not ready within %u ms", orders.argv[0].data, orders.ready_ms);
  char byte = 0;
  if ((entries[2].revents & POLLIN) == 0 || read(ready[0], &byte, 1) != 1) fail(0, "%s ended", orders.argv[0].data);
  answer_descriptor(space);
  close(ready[0]);
  // Until the builder is gone, or the helper: the builder sees our end and gives the namespace to nobody any more.
  while (true) {
    (void)poll(entries, 2, -1);
    if (entries[0].revents != 0 || entries[1].revents != 0) _exit(0);
  }
}

}  // namespace

void keep_uplink(const StepOrders& orders) {
  const int space = make_network_namespace(orders);
  const long pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) fail(errno, "cannot make a pid namespace");
  if (pid == 0) watch_helper(orders, space);
  (void)waitpid(static_cast<pid_t>(pid), nullptr, 0);
}

}  // namespace slipway::init
