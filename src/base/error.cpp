#include "base/error.hpp"

#include <cstring>

namespace slipway {

std::string_view name_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kAlreadyExists:
      return "already_exists";
    case Code::kPermissionDenied:
      return "permission_denied";
    case Code::kUnauthenticated:
      return "unauthenticated";
    case Code::kFailedPrecondition:
      return "failed_precondition";
    case Code::kResourceExhausted:
      return "resource_exhausted";
    case Code::kOutOfRange:
      return "out_of_range";
    case Code::kAborted:
      return "aborted";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kDeadlineExceeded:
      return "deadline_exceeded";
    case Code::kCancelled:
      return "cancelled";
    case Code::kDataLoss:
      return "data_loss";
    case Code::kUnimplemented:
      return "unimplemented";
    case Code::kUsage:
      return "usage";
    case Code::kInternal:
      return "internal";
  }
  return "unknown";
}

Error& Error::add_context(std::string line) & {
  contexts_.push_back(std::move(line));
  return *this;
}
Error&& Error::add_context(std::string line) && { return std::move(add_context(std::move(line))); }
Error& Error::with_hint(std::string hint) & {
  if (hint_.empty()) hint_ = std::move(hint);  // the innermost knows best
  return *this;
}
Error&& Error::with_hint(std::string hint) && { return std::move(with_hint(std::move(hint))); }
Error& Error::with_retry_after(std::int64_t seconds) & {
  retry_after_ = seconds;
  return *this;
}
Error& Error::with_range(SourceRange range) & {
  if (!range_) range_ = std::move(range);
  return *this;
}
Error&& Error::with_range(SourceRange range) && { return std::move(with_range(std::move(range))); }
Error& Error::with_excerpt(std::string excerpt) & {
  if (excerpt_.empty()) excerpt_ = std::move(excerpt);
  return *this;
}
Error&& Error::with_excerpt(std::string excerpt) && { return std::move(with_excerpt(std::move(excerpt))); }
Error&& Error::with_errno(int number) && {
  errno_ = number;
  return std::move(*this);
}
Error&& Error::with_code(Code code) && {
  code_ = code;
  return std::move(*this);
}

std::string Error::message() const {
  std::string text = what_;
  for (const auto& line : contexts_) text += "; " + line;
  return text;
}

Code code_of_errno(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EFBIG:
      return Code::kResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
      return Code::kInvalidArgument;
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
      return Code::kUnavailable;
    case ETIMEDOUT:
      return Code::kDeadlineExceeded;
    case ECANCELED:
      return Code::kCancelled;
    case ENOSYS:
    case EOPNOTSUPP:
      return Code::kUnimplemented;
    case EIO:
      return Code::kDataLoss;
    default:
      return Code::kInternal;
  }
}

Error errno_error(int number, std::string what) {
  char buffer[128];
  const char* text = strerror_r(number, buffer, sizeof buffer);  // GNU form: thread safe, may not use the buffer
  return Error(code_of_errno(number), what + ": " + text).with_errno(number);
}

}  // namespace slipway
