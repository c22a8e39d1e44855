// InitProcess: one running slipway-init, its orders given, its answers read.
#pragma once

#include <optional>
#include <string>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "init/orders.hpp"
#include "sys/child.hpp"
#include "sys/fd.hpp"

namespace slipway::sandbox {

using Orders = init::Orders<init::Owned>;

/// What init said.
struct Answer {
  init::AnswerKind kind = init::AnswerKind::kDone;
  int number = 0;
  int extra = 0;
  std::string text;
  sys::Fd descriptor;
};

struct InitDescriptors {
  int output = -1, error = -1;  ///< the step's streams; -1: /dev/null
  int user_namespace = -1;
  int network_namespace = -1;
};

class [[nodiscard]] InitProcess {
 public:
  static Result<InitProcess> start(int program, Orders& orders, const InitDescriptors& descriptors);

  [[nodiscard]] int control() const { return control_.get(); }
  [[nodiscard]] int pidfd() const { return child_.pidfd(); }
  /// One answer that is there (call when `control` is readable), or nothing at the end of answers.
  [[nodiscard]] Result<std::optional<Answer>> receive();
  /// Waits for one answer; a failure told by init is an Error, and so is its end without a word.
  [[nodiscard]] Result<Answer> await_answer(int timeout_ms);
  /// Says stop: pid 1 of a step ends at once and the kernel ends the rest.
  void stop() { control_.reset(); }
  /// Waits for its end; kDeadlineExceeded leaves it running (the destructor kills it).
  [[nodiscard]] Result<sys::ExitStatus> wait(int timeout_ms) { return child_.wait(Cancel{}, timeout_ms); }

 private:
  InitProcess(sys::Child child, sys::Fd control) : child_(std::move(child)), control_(std::move(control)) {}
  sys::Child child_;
  sys::Fd control_;
};

/// The Error that a kFailed answer stands for.
[[nodiscard]] Error error_of(const Answer& answer);

/// Runs a job that answers once and ends: user and network namespaces, probes. At most `timeout_ms`.
[[nodiscard]] Result<Answer> ask_init(int program, Orders& orders, const InitDescriptors& descriptors, int timeout_ms);

}  // namespace slipway::sandbox
