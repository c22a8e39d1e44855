#include "init/report.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

namespace slipway::init {
namespace {

void send_answer(AnswerHead head, const char* text, int descriptor) {
  head.text_size = static_cast<std::uint32_t>(strnlen(text, kMaxAnswerText));
  iovec parts[2] = {{&head, sizeof head}, {const_cast<char*>(text), head.text_size}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  (void)sendmsg(kControlFd, &message, MSG_NOSIGNAL);
}

}  // namespace

void answer(AnswerKind kind, int number, int extra, const char* text) {
  AnswerHead head;
  head.kind = kind;
  head.number = number;
  head.extra = extra;
  send_answer(head, text, -1);
}

void answer_descriptor(int descriptor, int number) {
  AnswerHead head;
  head.number = number;
  head.kind = AnswerKind::kDescriptor;
  send_answer(head, "", descriptor);
}

void fail(int error, const char* format, ...) {
  char text[kMaxAnswerText];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  answer(AnswerKind::kFailed, error, 0, text);
  _exit(1);
}

}  // namespace slipway::init
