// Child: a helper program with one owner. Started by posix_spawn (no C++ runs between fork and exec), held by its
// pidfd, killed and reaped when the owner lets go.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "sys/fd.hpp"

namespace slipway::sys {

/// How a child ended: `exit_code` 0..255, or `signal` > 0.
struct ExitStatus {
  int exit_code = 0;
  int signal = 0;
  [[nodiscard]] bool ok() const { return exit_code == 0 && signal == 0; }
  /// "exit code: 3" or "killed by signal 9".
  [[nodiscard]] std::string text() const;
};

struct ChildOptions {
  std::vector<std::string> argv;         ///< argv[0] is looked up in PATH unless it has a slash
  std::vector<std::string> environment;  ///< "K=V"; nothing is inherited
  /// Descriptors the child gets: pairs (ours, its number). Standard ones not named here are /dev/null.
  std::vector<std::pair<int, int>> descriptors;
  std::string directory;     ///< working directory; empty: "/"
  bool new_session = false;  ///< setsid: terminal signals do not reach it
  bool own_group = false;    ///< a process group of its own: what it started and left behind is killed with it
};

class [[nodiscard]] Child {
 public:
  static Result<Child> start(const ChildOptions& options);
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), group_(std::exchange(other.group_, -1)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    std::swap(group_, other.group_);
    return *this;
  }
  ~Child();  ///< SIGKILL and reap, unless it was waited for

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  [[nodiscard]] Status signal(int number) const;
  /// Waits for the end; kCancelled or kDeadlineExceeded (timeout_ms ≥ 0) leave it running.
  [[nodiscard]] Result<ExitStatus> wait(const Cancel& cancel, int timeout_ms = -1);

 private:
  Child(pid_t pid, Fd pidfd, pid_t group) : pid_(pid), pidfd_(std::move(pidfd)), group_(group) {}
  pid_t pid_ = -1;
  Fd pidfd_;
  pid_t group_ = -1;  ///< of own_group, until the child was reaped
};

/// Runs a helper to its end and gives what it wrote on both streams (at most `output_limit` bytes are kept).
struct Output {
  ExitStatus status;
  std::string out;
  std::string err;
};
[[nodiscard]] Result<Output> run(const ChildOptions& options, std::string_view input, const Cancel& cancel,
                                 int timeout_ms, std::size_t output_limit = 1 << 20);

/// A pipe, both ends close-on-exec.
struct Pipe {
  Fd read;
  Fd write;
};
[[nodiscard]] Result<Pipe> make_pipe();

}  // namespace slipway::sys
