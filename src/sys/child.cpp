#include "sys/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "sys/file.hpp"

namespace slipway::sys {
namespace {

/// posix_spawn's two objects with one owner each.
struct SpawnActions {
  posix_spawn_file_actions_t value{};
  SpawnActions() { posix_spawn_file_actions_init(&value); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&value); }
};
struct SpawnAttributes {
  posix_spawnattr_t value{};
  SpawnAttributes() { posix_spawnattr_init(&value); }
  ~SpawnAttributes() { posix_spawnattr_destroy(&value); }
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const auto& text : strings) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

ExitStatus status_of(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return {info.si_status, 0};
  return {0, info.si_status};
}

}  // namespace

std::string ExitStatus::text() const {
  return signal != 0 ? fmt::format("killed by signal {}", signal) : fmt::format("exit code: {}", exit_code);
}

Result<Child> Child::start(const ChildOptions& options) {
  SpawnActions actions;
  SpawnAttributes attributes;
  // First to numbers that no target uses, so that no pair overwrites the source of a later one.
  std::vector<Fd> held;
  const auto pass = [&](int ours, int theirs) -> Status {
    const int number = ::fcntl(ours, F_DUPFD_CLOEXEC, 200);
    if (number < 0) return fail_errno("cannot duplicate a descriptor");
    held.emplace_back(number);
    posix_spawn_file_actions_adddup2(&actions.value, number, theirs);
    return {};
  };
  for (const auto& [ours, theirs] : options.descriptors) TRY(pass(ours, theirs));
  for (int standard = 0; standard < 3; ++standard) {
    const bool given = std::any_of(options.descriptors.begin(), options.descriptors.end(),
                                   [&](const auto& pair) { return pair.second == standard; });
    if (!given)
      posix_spawn_file_actions_addopen(&actions.value, standard, "/dev/null", standard == 0 ? O_RDONLY : O_WRONLY, 0);
  }
  posix_spawn_file_actions_addchdir_np(&actions.value, options.directory.empty() ? "/" : options.directory.c_str());
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes.value, &none);
  posix_spawnattr_setsigdefault(&attributes.value, &all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (options.new_session) flags |= POSIX_SPAWN_SETSID;
  if (options.own_group) {
    flags |= POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setpgroup(&attributes.value, 0);
  }
  posix_spawnattr_setflags(&attributes.value, flags);

  auto argv = pointers(options.argv);
  auto envp = pointers(options.environment);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, argv[0], &actions.value, &attributes.value, argv.data(), envp.data());
  if (failed != 0) return std::unexpected(errno_error(failed, "cannot start " + printable(options.argv[0])));
  Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) {
    const int number = errno;
    ::kill(pid, SIGKILL);
    (void)::waitpid(pid, nullptr, 0);
    return std::unexpected(errno_error(number, "cannot hold the process of " + printable(options.argv[0])));
  }
  return Child(pid, std::move(pidfd), options.own_group ? pid : -1);
}

Child::~Child() {
  if (pid_ < 0) return;
  // Not reaped yet, so the number still is this group's.
  if (group_ > 0) (void)::kill(-group_, SIGKILL);
  (void)syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) < 0 && errno == EINTR) {}
}

Status Child::signal(int number) const {
  if (pid_ < 0) return {};
  if (syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) < 0 && errno != ESRCH)
    return fail_errno("cannot signal process {}", pid_);
  return {};
}

Result<ExitStatus> Child::wait(const Cancel& cancel, int timeout_ms) {
  const std::int64_t deadline = monotonic_ms() + timeout_ms;
  while (true) {
    TRY(cancel.check());
    pollfd entries[2] = {{pidfd_.get(), POLLIN, 0}, {cancel.fd(), POLLIN, 0}};
    int left = -1;
    if (timeout_ms >= 0) left = static_cast<int>(std::max<std::int64_t>(0, deadline - monotonic_ms()));
    const int ready = ::poll(entries, 2, left);
    if (ready < 0 && errno != EINTR) return fail_errno("cannot wait for process {}", pid_);
    if ((entries[0].revents & POLLIN) != 0) break;
    if (ready == 0 && timeout_ms >= 0)
      return fail(Code::kDeadlineExceeded, "process {} did not end within {} ms", pid_, timeout_ms);
  }
  if (group_ > 0) (void)::kill(-group_, SIGKILL);
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) < 0) return fail_errno("cannot reap process {}", pid_);
  pid_ = -1;
  return status_of(info);
}

Result<Output> run(const ChildOptions& options, std::string_view input, const Cancel& cancel, int timeout_ms,
                   std::size_t output_limit) {
  Pipe in = TRY(make_pipe());
  Pipe out = TRY(make_pipe());
  Pipe err = TRY(make_pipe());
  ChildOptions with_pipes = options;
  with_pipes.descriptors.insert(with_pipes.descriptors.end(),
                                {{in.read.get(), 0}, {out.write.get(), 1}, {err.write.get(), 2}});
  Child child = TRY(Child::start(with_pipes));
  in.read.reset();
  out.write.reset();
  err.write.reset();
  (void)::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  Output result;
  const std::int64_t deadline = monotonic_ms() + timeout_ms;
  std::string buffer(64 * 1024, '\0');
  while (out.read || err.read) {
    TRY(cancel.check());
    if (input.empty()) in.write.reset();
    pollfd entries[4] = {{out.read.get(), POLLIN, 0},
                         {err.read.get(), POLLIN, 0},
                         {in.write ? in.write.get() : -1, POLLOUT, 0},
                         {cancel.fd(), POLLIN, 0}};
    int left = -1;
    if (timeout_ms >= 0) left = static_cast<int>(std::max<std::int64_t>(0, deadline - monotonic_ms()));
    const int ready = ::poll(entries, 4, left);
    if (ready < 0 && errno != EINTR) return fail_errno("cannot wait for {}", options.argv[0]);
    if (ready == 0) return fail(Code::kDeadlineExceeded, "{} did not end within {} ms", options.argv[0], timeout_ms);
    for (auto [entry, pipe, text] :
         {std::tuple(&entries[0], &out.read, &result.out), std::tuple(&entries[1], &err.read, &result.err)}) {
      if (!*pipe || (entry->revents & (POLLIN | POLLHUP)) == 0) continue;
      const std::size_t got = TRY(read_some(pipe->get(), buffer.data(), buffer.size()));
      if (got == 0) pipe->reset();
      text->append(buffer, 0, std::min(got, output_limit - std::min(output_limit, text->size())));
    }
    if (in.write && (entries[2].revents & (POLLOUT | POLLERR)) != 0) {
      const ssize_t put = ::write(in.write.get(), input.data(), input.size());
      if (put > 0) input.remove_prefix(static_cast<std::size_t>(put));
      if (put < 0 && errno != EAGAIN && errno != EINTR) input = {};  // it stopped reading; its exit tells why
    }
  }
  const int left = timeout_ms < 0 ? -1 : static_cast<int>(std::max<std::int64_t>(0, deadline - monotonic_ms()));
  result.status = TRY(child.wait(cancel, left));
  return result;
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return fail_errno("cannot make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

}  // namespace slipway::sys
