// Answers of init to the sandbox, over the control socket.
#pragma once

#include "init/orders.hpp"

namespace slipway::init {

/// Sends one answer; a builder that is gone is no error, the caller ends soon anyway.
void answer(AnswerKind kind, int number, int extra, const char* text);

/// Sends `descriptor` along with kDescriptor and `number`.
void answer_descriptor(int descriptor, int number = 0);

/// Tells why set-up failed ("cannot mount overlay"; errno `error`, 0 for none) and ends this process.
[[noreturn]] __attribute__((format(printf, 2, 3))) void fail(int error, const char* format, ...);

}  // namespace slipway::init
