// Error and Result: how every fallible function of Slipway answers.
//
//   Result<Digest> parse(std::string_view);          // a value or an Error
//   Status remove(const Reference&);                 // success or an Error
//
//   auto digest = TRY(Digest::parse(text));          // returns the Error to the caller
//   TRY(context(store.remove(ref), "while untagging {}", ref));   // adds a "while …" line on the way up
//
// Texts are lower case without a full stop, name the object and its value, and quote user input through
// `quoted()` (base/text.hpp). Exceptions are for bugs and out-of-memory only; those of a library are caught in the
// file that calls it.
#pragma once

#include <fmt/core.h>

#include <cerrno>
#include <cstdint>

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway {

/// A closed set, chosen by what the caller should do next (after absl::StatusCode).
enum class Code : unsigned char {
  kInvalidArgument,     ///< the input is wrong in any state of the system; fix the input
  kNotFound,            ///< the named object does not exist
  kAlreadyExists,       ///< the object to be made exists
  kPermissionDenied,    ///< the caller may not, whoever they say they are
  kUnauthenticated,     ///< credentials are missing or wrong
  kFailedPrecondition,  ///< the system is in the wrong state; fix the state first
  kResourceExhausted,   ///< a limit, a quota or the disk is full
  kOutOfRange,          ///< a size or an offset beyond what is valid
  kAborted,             ///< a conflict with another process; retry from above
  kUnavailable,         ///< passing trouble; retry this call
  kDeadlineExceeded,    ///< took too long
  kCancelled,           ///< the user or the caller stopped it
  kDataLoss,            ///< bytes are broken, missing or not what their digest says
  kUnimplemented,       ///< not in this build or on this machine
  kUsage,               ///< the command line is wrong (exit 2)
  kInternal,            ///< an invariant of ours broke: a bug
};

/// The code's name as logs show it, e.g. "not_found".
[[nodiscard]] std::string_view name_of(Code code);

/// A range of lines of a source file that an error points at (1-based, inclusive).
struct SourceRange {
  std::string file;
  int first_line = 0;
  int last_line = 0;
  friend bool operator==(const SourceRange&, const SourceRange&) = default;
};

/// What failed, where, and what to do next. A value: copyable, cheap enough for a failure path.
class Error {
 public:
  Error(Code code, std::string what) : code_(code), what_(std::move(what)) {}

  [[nodiscard]] Code code() const { return code_; }
  [[nodiscard]] const std::string& what() const { return what_; }
  [[nodiscard]] const std::vector<std::string>& contexts() const { return contexts_; }  ///< innermost first
  [[nodiscard]] const std::optional<SourceRange>& range() const { return range_; }
  [[nodiscard]] const std::string& hint() const { return hint_; }
  [[nodiscard]] int sys_errno() const { return errno_; }                   ///< 0 when no system call failed
  [[nodiscard]] const std::string& excerpt() const { return excerpt_; }    ///< ready-made source excerpt, or empty
  [[nodiscard]] std::int64_t retry_after() const { return retry_after_; }  ///< seconds a peer asked for; 0: it did not

  /// Adds a line as it shall be printed, beginning with "while": "while pulling debian:12".
  Error& add_context(std::string line) &;
  Error&& add_context(std::string line) &&;
  Error& with_hint(std::string hint) &;
  Error&& with_hint(std::string hint) &&;
  Error& with_range(SourceRange range) &;
  Error&& with_range(SourceRange range) &&;
  Error& with_excerpt(std::string excerpt) &;
  Error&& with_excerpt(std::string excerpt) &&;
  Error& with_retry_after(std::int64_t seconds) &;
  Error&& with_errno(int number) &&;
  Error&& with_code(Code code) &&;

  /// One line: "what: context; context" for logs and for APIs that take one message.
  [[nodiscard]] std::string message() const;

 private:
  Code code_;
  int errno_ = 0;
  std::int64_t retry_after_ = 0;
  std::string what_;
  std::vector<std::string> contexts_;
  std::optional<SourceRange> range_;
  std::string hint_;
  std::string excerpt_;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

/// Makes the unexpected side: `return fail(Code::kNotFound, "no image named {}", ref);`
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error(code, fmt::format(format, std::forward<Args>(args)...)));
}

/// The code that an errno asks the caller to act by (ENOSPC → resource_exhausted, ENOENT → not_found …).
[[nodiscard]] Code code_of_errno(int number);

/// "what: No such file or directory" with the code of `number`. Pass errno at once; nothing may run in between.
[[nodiscard]] Error errno_error(int number, std::string what);

/// `return fail_errno("cannot open {}", path);` reads errno first of all.
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail_errno(fmt::format_string<Args...> format, Args&&... args) {
  const int number = errno;
  return std::unexpected(errno_error(number, fmt::format(format, std::forward<Args>(args)...)));
}

/// Adds a context line to a failed result; a good one passes unchanged and costs nothing but the test.
template <class T, class... Args>
[[nodiscard]] Result<T> context(Result<T> result, fmt::format_string<Args...> format, Args&&... args) {
  if (!result) result.error().add_context(fmt::format(format, std::forward<Args>(args)...));
  return result;
}

namespace detail {
template <class T>
T take(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}
}  // namespace detail

// The value of a Result, or return its Error from the enclosing function. The name is unique so that TRYs may nest.
#define SLIPWAY_TRY_NAMED(name, ...)                   \
  (__extension__({                                     \
    auto name = (__VA_ARGS__);                         \
    if (!name) [[unlikely]]                            \
      return std::unexpected(std::move(name).error()); \
    ::slipway::detail::take(std::move(name));          \
  }))
#define SLIPWAY_TRY_JOIN(number, ...) SLIPWAY_TRY_NAMED(try_result_##number, __VA_ARGS__)
#define SLIPWAY_TRY_COUNTED(number, ...) SLIPWAY_TRY_JOIN(number, __VA_ARGS__)
#define TRY(...) SLIPWAY_TRY_COUNTED(__COUNTER__, __VA_ARGS__)

}  // namespace slipway
