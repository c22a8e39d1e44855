#include "sandbox/step_run.hpp"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "base/time.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {
namespace {

constexpr int kStopMs = 900;  // between "stop" and SIGKILL to init itself; Ctrl-C ends all within a second

/// The reading end of one stream of the step.
struct Stream {
  int number = 1;
  sys::Fd read;
};

class Running {
 public:
  Running(InitProcess process, const Spec& spec, sys::Fd out, sys::Fd err, const Output& output)
      : process_(std::move(process)),
        spec_(spec),
        output_(output),
        streams_{Stream{1, std::move(out)}, Stream{2, std::move(err)}} {
    for (const auto& stream : streams_) (void)fcntl(stream.read.get(), F_SETFL, O_NONBLOCK);
  }

  Result<StepEnd> finish(const Cancel& cancel) {
    while (true) {
      TRY(pass_on());
      pollfd entries[] = {{streams_[0].read ? streams_[0].read.get() : -1, POLLIN, 0},
                          {streams_[1].read ? streams_[1].read.get() : -1, POLLIN, 0},
                          {answers_ended_ ? -1 : process_.control(), POLLIN, 0},
                          {process_.pidfd(), POLLIN, 0},
                          {cancel.fd(), POLLIN, 0}};
      if (poll(entries, std::size(entries), left_ms()) < 0 && errno != EINTR)
        return fail_errno("cannot wait for a step");
      if (cancel.fired()) return stop(cancel);
      if (left_ms() == 0 && entries[3].revents == 0) return time_out();
      if (entries[2].revents != 0) TRY(take_answer());
      if (entries[3].revents != 0) return ended();
    }
  }

 private:
  /// Reads what is there without waiting; both streams in turn, so that a flood on one does not starve the other.
  Status pass_on() {
    for (auto& stream : streams_) {
      if (!stream.read) continue;
      const ssize_t got = ::read(stream.read.get(), buffer_.data(), buffer_.size());
      if (got > 0)
        output_(stream.number, std::string_view(buffer_.data(), static_cast<std::size_t>(got)));
      else if (got == 0)
        stream.read.reset();
      else if (errno != EAGAIN && errno != EINTR)
        return fail_errno("cannot read the output of a step");
    }
    return {};
  }

  Status take_answer() {
    std::optional<Answer> answer = TRY(process_.receive());
    if (!answer)
      answers_ended_ = true;
    else if (answer->kind == init::AnswerKind::kClean)
      network_clean_ = true;
    else if (answer->kind == init::AnswerKind::kDescriptor)
      return serve(*std::move(answer));
    else if (!outcome_)  // the first counts: what follows is about its consequences
      outcome_ = std::move(answer);
    return {};
  }

  Status serve(Answer answer) {
    const auto number = static_cast<std::size_t>(answer.number);
    if (number >= spec_.sockets.size() || !answer.descriptor)
      return fail(Code::kInternal, "slipway-init gave a socket that was not asked for");
    spec_.sockets[number].serve(std::move(answer.descriptor));
    return {};
  }

  /// For poll(2): -1 without a limit.
  int left_ms() const {
    if (spec_.timeout_ms <= 0) return -1;
    constexpr std::int64_t kMost = 24 * 3600 * 1000;
    return static_cast<int>(std::clamp<std::int64_t>(started_ms_ + spec_.timeout_ms - monotonic_ms(), 0, kMost));
  }

  /// pid 1 of the step ends, and with it, by SIGKILL of the kernel, everything that it left behind.
  void kill_all() {
    process_.stop();
    (void)process_.wait(kStopMs);
  }

  Result<StepEnd> time_out() {
    kill_all();
    for (auto& stream : streams_) drain(stream);
    return fail(Code::kDeadlineExceeded, "the step ran longer than {} ms", spec_.timeout_ms);
  }

  Result<StepEnd> stop(const Cancel& cancel) {
    kill_all();
    TRY(cancel.check());
    return fail(Code::kCancelled, "cancelled");
  }

  /// Every process of the step is dead: what they wrote lies in the pipes. The pipes' end is not awaited: a descriptor
  /// may have been handed through a socket in a shared cache mount to a step that still runs.
  Result<StepEnd> ended() {
    while (!answers_ended_) TRY(take_answer());
    for (auto& stream : streams_) drain(stream);
    const sys::ExitStatus init = TRY(process_.wait(kStopMs));
    if (!outcome_) return fail(Code::kInternal, "slipway-init ended without an answer ({})", init.text());
    switch (outcome_->kind) {
      case init::AnswerKind::kExited:
        return StepEnd{{outcome_->number, outcome_->extra}, network_clean_};
      case init::AnswerKind::kNotStarted:
        output_(2, printable(outcome_->text) + "\n");
        return StepEnd{{outcome_->number, 0}, network_clean_};
      case init::AnswerKind::kFailed:
        return std::unexpected(error_of(*outcome_));
      default:
        return fail(Code::kInternal, "slipway-init gave an answer that is none");
    }
  }

  void drain(Stream& stream) {
    constexpr std::size_t kPipeSize = 1 << 20;  // at most what a pipe can hold
    for (std::size_t total = 0; stream.read && total < kPipeSize;) {
      const ssize_t got = ::read(stream.read.get(), buffer_.data(), buffer_.size());
      if (got <= 0) return;
      total += static_cast<std::size_t>(got);
      output_(stream.number, std::string_view(buffer_.data(), static_cast<std::size_t>(got)));
    }
  }

  InitProcess process_;
  const Spec& spec_;
  std::int64_t started_ms_ = monotonic_ms();
  const Output& output_;
  std::array<Stream, 2> streams_;
  std::optional<Answer> outcome_;
  bool answers_ended_ = false;
  bool network_clean_ = false;
  std::array<char, 64 * 1024> buffer_;
};

}  // namespace

Result<StepEnd> run_step(int program, Orders& orders, const Spec& spec, int user_namespace, int network_namespace,
                         const Output& output, const Cancel& cancel) {
  TRY(cancel.check());
  sys::Pipe out = TRY(sys::make_pipe());
  sys::Pipe err = TRY(sys::make_pipe());
  InitProcess process =
      TRY(InitProcess::start(program, orders, {out.write.get(), err.write.get(), user_namespace, network_namespace}));
  out.write.reset();
  err.write.reset();
  return Running(std::move(process), spec, std::move(out.read), std::move(err.read), output).finish(cancel);
}

}  // namespace slipway::sandbox
