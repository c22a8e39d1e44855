#include "init/command.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "init/path.hpp"
#include "init/privileges.hpp"

namespace slipway::init {
namespace {

constexpr int kReportFd = 3;  // where `report` lies while everything above is closed
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

[[noreturn]] __attribute__((format(printf, 4, 5))) void give_up(int report, int status, int error, const char* format,
                                                                ...) {
  ExecFailure failure{};
  failure.status = status;
  failure.error = error;
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(failure.text, sizeof failure.text, format, arguments);
  va_end(arguments);
  (void)!write(report, &failure, sizeof failure);
  _exit(status != 0 ? status : 1);
}

/// Go's errors as runc's users know them.
const char* go_text(int error) {
  switch (error) {
    case ENOENT:
      return "no such file or directory";
    case EACCES:
      return "permission denied";
    case ENOTDIR:
      return "not a directory";
    case ENOEXEC:
      return "exec format error";
    case EISDIR:
      return "is a directory";
    case ELOOP:
      return "too many levels of symbolic links";
    case E2BIG:
      return "argument list too long";
    default:
      return strerror(error);
  }
}

void set_limits(const StepOrders& orders, int report) {
  for (const auto& limit : orders.limits) {
    const rlimit value{limit.soft, limit.hard};
    if (setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &value) < 0)
      give_up(report, 0, errno, "cannot set ulimit %s", limit.name.data);
  }
}

/// The last component may be a symlink; magic links (/proc/self/fd/7) are refused (CVE-2024-21626), and what the kernel
/// then calls the working directory must lie below the root.
void enter_directory(const StepOrders& orders, int report) {
  const int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int directory = open_in_root(root, orders.working_directory.data, O_PATH | O_DIRECTORY);
  if (directory < 0 || fchdir(directory) < 0)
    give_up(report, 0, errno, "cannot use %s as the working directory", orders.working_directory.data);
  char where[4096];
  const long size = syscall(SYS_getcwd, where, sizeof where);
  if (size < 0 || where[0] != '/')
    give_up(report, 0, ENOENT, "cannot use %s as the working directory: it lies outside of the root",
            orders.working_directory.data);
  close(directory);
  close(root);
}

const char* search_path(const StepOrders& orders) {
  const char* found = kDefaultPath;
  for (const auto& variable : orders.environment)
    if (std::strncmp(variable.data, "PATH=", 5) == 0) found = variable.data + 5;
  return found;
}

/// 0 when `path` is a file that this process may execute, an errno otherwise (Go's exec.findExecutable).
int executable(const char* path) {
  struct stat info{};
  if (stat(path, &info) < 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

const char* find_program(const StepOrders& orders, int report) {
  const char* name = orders.argv[0].data;
  if (std::strchr(name, '/') != nullptr) {
    const int error = executable(name);
    if (error == 0) return name;
    if (error == ENOENT || error == ENOTDIR || error == ELOOP)
      give_up(report, 127, 0, "exec: \"%.1000s\": stat %.900s: %s", name, name, go_text(error));
    give_up(report, 126, 0, "exec: \"%.1000s\": %s", name, go_text(error));
  }
  static char candidate[4096];
  for (const char* part = search_path(orders);; ++part) {
    const auto size = static_cast<int>(strcspn(part, ":"));
    const int used = snprintf(candidate, sizeof candidate, "%.*s%s%s", size, part, size > 0 ? "/" : "./", name);
    if (name[0] != '\0' && used > 0 && static_cast<unsigned>(used) < sizeof candidate && executable(candidate) == 0)
      return candidate;
    part += size;
    if (*part == '\0') break;
  }
  give_up(report, 127, 0, "exec: \"%.1000s\": executable file not found in $PATH", name);
}

/// A null-terminated array of C strings, as execve(2) wants it.
char** strings(const Span<Text>& list) {
  auto** out = static_cast<char**>(allocate(sizeof(char*) * (std::size_t{list.count} + 1)));
  for (std::uint32_t i = 0; i < list.count; ++i) out[i] = const_cast<char*>(list[i].data);
  return out;
}

void reset_signals() {
  // By plain system calls: the C library keeps 32 and 33 to itself, yet they may be inherited as ignored.
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    std::uint64_t mask;
  } const standard{};
  const std::uint64_t none = 0;
  for (int number = 1; number <= 64; ++number) (void)syscall(SYS_rt_sigaction, number, &standard, nullptr, sizeof none);
  (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
}

}  // namespace

void run_command(const StepOrders& orders, int report) {
  if (report != kReportFd) {
    if (dup3(report, kReportFd, O_CLOEXEC) < 0) give_up(report, 0, errno, "cannot move a descriptor");
    report = kReportFd;
  }
  if (syscall(SYS_close_range, kReportFd + 1, ~0U, 0) < 0) give_up(report, 0, errno, "cannot close descriptors");
  const int input = open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, 0) < 0) give_up(report, 0, errno, "cannot open /dev/null in the root");
  if (input > 0) close(input);
  reset_signals();
  (void)setsid();
  (void)umask(0022);
  (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING,
                nullptr);  // some outer filters refuse it: then keyrings are out of reach anyway
  enter_directory(orders, report);

  auto* groups = static_cast<gid_t*>(allocate(sizeof(gid_t) * (std::size_t{orders.groups.count} + 1)));
  for (std::uint32_t i = 0; i < orders.groups.count; ++i) groups[i] = orders.groups[i];
  if (!orders.without_groups && setgroups(orders.groups.count, groups) < 0)
    give_up(report, 0, errno, "cannot set supplementary groups");
  if (setresgid(orders.gid, orders.gid, orders.gid) < 0) give_up(report, 0, errno, "cannot become gid %u", orders.gid);
  const int bound = orders.insecure ? keep_capabilities() : bound_capabilities();
  if (bound < 0) give_up(report, 0, errno, "cannot drop capabilities");
  if ((orders.insecure ? install_small_filter() : install_filter()) < 0)
    give_up(report, 0, errno, "cannot install the seccomp filter");
  set_limits(orders, report);
  if (setresuid(orders.uid, orders.uid, orders.uid) < 0) give_up(report, 0, errno, "cannot become uid %u", orders.uid);
  if ((orders.insecure ? raise_all_capabilities() : set_capabilities(orders.uid == 0)) < 0)
    give_up(report, 0, errno, "cannot set capabilities");

  char** argv = strings(orders.argv);
  char** environment = strings(orders.environment);
  const char* program = find_program(orders, report);
  (void)execve(program, argv, environment);
  const int error = errno;
  give_up(report, error == ENOENT ? 127 : 126, 0, "exec %.1500s: %s", program, go_text(error));
}

}  // namespace slipway::init
