#include "init/namespaces.hpp"

#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "init/path.hpp"
#include "init/report.hpp"

namespace slipway::init {
namespace {

void write_map(pid_t pid, const char* name, const Span<IdMap>& map) {
  char text[4096];
  std::size_t used = 0;
  for (const IdMap& line : map) {
    const int size = snprintf(text + used, sizeof text - used, "%u %u %u\n", line.inside, line.outside, line.count);
    if (size < 0 || static_cast<std::size_t>(size) >= sizeof text - used)
      fail(E2BIG, "cannot write a %s so long", name);
    used += static_cast<std::size_t>(size);
  }
  const int file = open(Path("/proc/%d/%s", pid, name).text, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, text, used) != static_cast<ssize_t>(used))  // the kernel takes a map in one write only
    fail(errno, "cannot write the %s of a new user namespace", name);
  close(file);
}

}  // namespace

void make_user_namespace(const StepOrders& orders) {
  // A parent that itself lives in a user namespace may write the child's maps only if the child is dumpable. Nothing
  // foreign runs beside this job, and the child does nothing.
  (void)prctl(PR_SET_DUMPABLE, 1);
  const long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) fail(errno, "cannot make a user namespace");
  if (pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) pause();
  }
  write_map(static_cast<pid_t>(pid), "uid_map", orders.uid_map);
  write_map(static_cast<pid_t>(pid), "gid_map", orders.gid_map);
  const int space = open(Path("/proc/%ld/ns/user", pid).text, O_RDONLY | O_CLOEXEC);
  if (space < 0) fail(errno, "cannot open a new user namespace");
  answer_descriptor(space);
  (void)kill(static_cast<pid_t>(pid), SIGKILL);
  (void)waitpid(static_cast<pid_t>(pid), nullptr, 0);
}

void enter_user_namespace(bool without_groups) {
  if (setns(kUserNamespaceFd, CLONE_NEWUSER) < 0) fail(errno, "cannot enter the user namespace");
  if ((setgroups(0, nullptr) < 0 && !without_groups) || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
    fail(errno, "cannot become uid 0 of the user namespace");
  (void)prctl(PR_SET_DUMPABLE, 0);
}

void raise_loopback() {
  const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (control < 0 || ioctl(control, SIOCSIFFLAGS, &request) < 0) fail(errno, "cannot bring the loopback device up");
  close(control);
}

}  // namespace slipway::init
