#include "sandbox/step_run.hpp"

#include <fcntl.h>
#include <poll.h>

#include <array>

#include "base/text.hpp"
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
  Running(InitProcess process, sys::Fd out, sys::Fd err, const Output& output)
      : process_(std::move(process)), output_(output), streams_{Stream{1, std::move(out)}, Stream{2, std::move(err)}} {
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
      if (poll(entries, std::size(entries), -1) < 0 && errno != EINTR) return fail_errno("cannot wait for a step");
      if (cancel.fired()) return stop(cancel);
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
    else if (!outcome_)  // the first counts: what follows is about its consequences
      outcome_ = std::move(answer);
    return {};
  }

  Result<StepEnd> stop(const Cancel& cancel) {
    process_.stop();
    (void)process_.wait(kStopMs);
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
  const Output& output_;
  std::array<Stream, 2> streams_;
  std::optional<Answer> outcome_;
  bool answers_ended_ = false;
  bool network_clean_ = false;
  std::array<char, 64 * 1024> buffer_;
};

}  // namespace

Result<StepEnd> run_step(int program, Orders& orders, int user_namespace, int network_namespace, const Output& output,
                         const Cancel& cancel) {
  TRY(cancel.check());
  sys::Pipe out = TRY(sys::make_pipe());
  sys::Pipe err = TRY(sys::make_pipe());
  InitProcess process =
      TRY(InitProcess::start(program, orders, {out.write.get(), err.write.get(), user_namespace, network_namespace}));
  out.write.reset();
  err.write.reset();
  return Running(std::move(process), std::move(out.read), std::move(err.read), output).finish(cancel);
}

}  // namespace slipway::sandbox
