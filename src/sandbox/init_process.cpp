#include "sandbox/init_process.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "base/text.hpp"
#include "base/time.hpp"
#include "sandbox/program.hpp"

namespace slipway::sandbox {

Result<InitProcess> InitProcess::start(int program, Orders& orders, const InitDescriptors& descriptors) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return fail_errno("cannot make a socket pair");
  sys::Fd ours(ends[0]), theirs(ends[1]);
  const sys::Fd wire = TRY(make_sealed_file("slipway-orders", init::encode(orders)));
  sys::ChildOptions options;
  options.argv = {fmt::format("/proc/self/fd/{}", program)};
  options.descriptors = {{theirs.get(), init::kControlFd}, {wire.get(), init::kOrdersFd}};
  if (descriptors.output >= 0) options.descriptors.emplace_back(descriptors.output, 1);
  if (descriptors.error >= 0) options.descriptors.emplace_back(descriptors.error, 2);
  if (descriptors.user_namespace >= 0)
    options.descriptors.emplace_back(descriptors.user_namespace, init::kUserNamespaceFd);
  if (descriptors.network_namespace >= 0)
    options.descriptors.emplace_back(descriptors.network_namespace, init::kNetworkNamespaceFd);
  options.new_session = true;
  sys::Child child = TRY(context(sys::Child::start(options), "while starting slipway-init (is /proc mounted?)"));
  return InitProcess(std::move(child), std::move(ours));
}

Result<std::optional<Answer>> InitProcess::receive() {
  char bytes[sizeof(init::AnswerHead) + init::kMaxAnswerText];
  iovec part{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = -1;
  do got = recvmsg(control_.get(), &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got == 0) return std::nullopt;
  if (got < 0 && errno == ECONNRESET) return std::nullopt;
  if (got < 0) return fail_errno("cannot read an answer of slipway-init");
  Answer answer;
  if (const cmsghdr* rights = CMSG_FIRSTHDR(&message); rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(rights), sizeof number);
    answer.descriptor = sys::Fd(number);
  }
  init::AnswerHead head;
  if (static_cast<std::size_t>(got) < sizeof head) return fail(Code::kInternal, "slipway-init gave a cut-off answer");
  std::memcpy(&head, bytes, sizeof head);
  if (head.version != init::kVersion || head.text_size != static_cast<std::size_t>(got) - sizeof head)
    return fail(Code::kInternal, "slipway-init gave an answer of version {}", head.version);
  answer.kind = head.kind;
  answer.number = head.number;
  answer.extra = head.extra;
  answer.text.assign(bytes + sizeof head, head.text_size);
  return answer;
}

Error error_of(const Answer& answer) {
  std::string text = printable(answer.text);
  if (answer.number == 0) return Error(Code::kFailedPrecondition, std::move(text));
  return errno_error(answer.number, std::move(text));
}

Result<Answer> InitProcess::await_answer(int timeout_ms) {
  pollfd entry{control_.get(), POLLIN, 0};
  const std::int64_t deadline = monotonic_ms() + timeout_ms;
  int ready = -1;
  do ready = poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(0, deadline - monotonic_ms())));
  while (ready < 0 && errno == EINTR);
  if (ready <= 0) return fail(Code::kDeadlineExceeded, "slipway-init did not answer within {} ms", timeout_ms);
  std::optional<Answer> answer = TRY(receive());
  if (!answer) {
    const auto status = wait(timeout_ms);
    return fail(Code::kInternal, "slipway-init ended without an answer ({})",
                status ? status->text() : status.error().message());
  }
  if (answer->kind == init::AnswerKind::kFailed) return std::unexpected(error_of(*answer));
  return *std::move(answer);
}

Result<Answer> ask_init(int program, Orders& orders, const InitDescriptors& descriptors, int timeout_ms) {
  InitProcess process = TRY(InitProcess::start(program, orders, descriptors));
  Answer answer = TRY(process.await_answer(timeout_ms));
  (void)process.wait(timeout_ms);
  return answer;
}

}  // namespace slipway::sandbox
