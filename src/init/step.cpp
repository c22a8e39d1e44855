#include "init/step.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "init/census.hpp"
#include "init/command.hpp"
#include "init/ground.hpp"
#include "init/namespaces.hpp"
#include "init/privileges.hpp"
#include "init/report.hpp"
#include "init/root.hpp"

namespace slipway::init {
namespace {

/// The step's own groups: entered before the cgroup namespace, whose roots they become.
void join_cgroups(const StepOrders& orders) {
  for (const auto& procs : orders.cgroup_procs) {
    const int file = open(procs.data, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "0", 1) != 1) fail(errno, "cannot join the control group %s", procs.data);
    close(file);
  }
}

/// Hard limits can be raised only out here (CAP_SYS_RESOURCE of the machine); the command itself lowers and sets.
void allow_limits(const StepOrders& orders) {
  for (const auto& limit : orders.limits) {
    rlimit value{};
    const auto resource = static_cast<__rlimit_resource_t>(limit.resource);
    if (getrlimit(resource, &value) < 0) fail(errno, "cannot read the limit %s", limit.name.data);
    if (limit.hard <= value.rlim_max) continue;
    const rlim_t before = value.rlim_max;
    value.rlim_max = limit.hard;
    if (setrlimit(resource, &value) < 0)
      fail(errno, "ulimit %s: a hard limit above %llu needs more privilege than this user has", limit.name.data,
           static_cast<unsigned long long>(before));
  }
}

/// /dev/stdout opens the pipe anew, which its owner alone may do (runc fixes this the same way).
void own_output(const StepOrders& orders) {
  for (int stream = 1; stream <= 2; ++stream)
    if (fchown(stream, orders.output_uid, orders.output_gid) < 0) fail(errno, "cannot own the output pipe");
}

void close_output() {
  close(1);
  close(2);
}

/// Reads what the command's process sent before exec: ends this process if it failed; an end of file is success.
void tell_failed_start(int report) {
  ExecFailure failure{};
  if (read(report, &failure, sizeof failure) != static_cast<ssize_t>(sizeof failure)) return;
  failure.text[sizeof failure.text - 1] = '\0';
  if (failure.status == 0) fail(failure.error, "%s", failure.text);
  answer(AnswerKind::kNotStarted, failure.status, 0, failure.text);
  _exit(0);
}

/// What pid 1 does while the command runs: reap, and end when the builder is gone or says stop. Its end is everyone's.
[[noreturn]] void supervise(pid_t command, int report) {
  (void)set_capabilities(false);
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  const int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) fail(errno, "cannot wait for signals");
  bool ended = false;
  int status = 0;
  while (!ended || report >= 0) {  // a failed exec is told by the pipe, so it is always read to its end
    pollfd entries[] = {{kControlFd, POLLIN, 0}, {signals, POLLIN, 0}, {report, POLLIN, 0}};
    if (poll(entries, 3, -1) < 0 && errno != EINTR) fail(errno, "cannot wait for the command");
    if (entries[0].revents != 0) _exit(1);
    if (entries[2].revents != 0) {
      tell_failed_start(report);
      close(report);
      report = -1;
    }
    signalfd_siginfo drained;
    while (read(signals, &drained, sizeof drained) > 0) {}
    int one = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &one, WNOHANG)) > 0;) {
      if (pid != command) continue;
      ended = true;
      status = one;
    }
  }
  answer(AnswerKind::kExited, WIFEXITED(status) ? WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
         "");
  _exit(0);
}

[[noreturn]] void be_pid_one(const StepOrders& orders, const Devices& devices, StubLog& log) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (orders.network == Network::kNew) raise_loopback();
  if (sethostname(orders.hostname.data, orders.hostname.size) < 0) fail(errno, "cannot set the hostname");
  assemble_root(orders, devices, log);
  if (orders.job == Job::kProbe) {
    // An overlay may mount and yet be read-only (id-mapped layers under the wrong owner): only a write tells.
    if (mkdir("/probe", 0700) < 0) fail(errno, "cannot write into an overlay");
    answer(AnswerKind::kDone, 0, 0, "");
    _exit(0);
  }
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  (void)sigprocmask(SIG_BLOCK, &child, nullptr);
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) fail(errno, "cannot make a pipe");
  const pid_t command = fork();
  if (command < 0) fail(errno, "cannot start a process");
  if (command == 0) run_command(orders, report[1]);
  close(report[1]);
  close_output();
  supervise(command, report[0]);
}

}  // namespace

void run_step(const StepOrders& orders) {
  join_cgroups(orders);
  allow_limits(orders);
  if (orders.job == Job::kStep) own_output(orders);
  const Devices devices = leave_host(orders);
  enter_user_namespace(orders.without_groups);
  if (orders.network == Network::kJoin && setns(kNetworkNamespaceFd, CLONE_NEWNET) < 0)
    fail(errno, "cannot enter the network namespace");
  const Census census;
  StubLog* log = make_stub_log();
  unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | SIGCHLD;
  if (orders.network == Network::kNew) flags |= CLONE_NEWNET;
  const long pid = syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr);  // clone3 is refused by many filters
  if (pid < 0) fail(errno, "cannot make namespaces for the step");
  if (pid == 0) be_pid_one(orders, devices, *log);
  close_output();
  int status = 0;
  // Ends after all others of the pid namespace (pid_namespaces(7)).
  while (waitpid(static_cast<pid_t>(pid), &status, 0) < 0 && errno == EINTR) {}
  if (orders.network == Network::kJoin && census.unchanged()) answer(AnswerKind::kClean, 0, 0, "");
  if (log->count > 0) {
    const int upper = open(GroundPath(orders.upper).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (upper < 0) fail(errno, "cannot open the step's upper directory");
    remove_stubs(upper, *log);
  }
  if (WIFSIGNALED(status)) fail(0, "pid 1 of the step was killed by signal %d (out of memory?)", WTERMSIG(status));
}

}  // namespace slipway::init
