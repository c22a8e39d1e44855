#include "httpd/connection.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <vector>

#include "base/time.hpp"
#include "sys/file.hpp"

namespace slipway::httpd {
namespace {

constexpr std::size_t kCopyBytes = 256 * 1024;
constexpr std::size_t kSendfileBytes = std::size_t{1} << 30;

Connection::Step step_of_ssl(SSL* ssl, int result) {
  const int error = SSL_get_error(ssl, result);
  ERR_clear_error();
  if (error == SSL_ERROR_WANT_READ) return Connection::Step::kWantRead;
  if (error == SSL_ERROR_WANT_WRITE) return Connection::Step::kWantWrite;
  return Connection::Step::kEnd;
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Connection::Step Connection::handshake() {
  if (!ssl_) return Step::kDone;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  return result == 1 ? Step::kDone : step_of_ssl(ssl_.get(), result);
}

bool Connection::is_plain_http() {
  // The first byte only: a method begins with a letter, a TLS record does not.
  char first = 0;
  if (looked_ || ::recv(fd_.get(), &first, 1, MSG_PEEK) != 1) return misdirected_;
  looked_ = true;
  misdirected_ = ssl_ && ((first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z'));
  if (misdirected_) ssl_.reset();
  return misdirected_;
}

Connection::Moved Connection::read_once(char* buffer, std::size_t size) {
  if (ssl_) {
    ERR_clear_error();
    std::size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), buffer, size, &got);
    if (result == 1) return {Step::kDone, got};
    return {step_of_ssl(ssl_.get(), result), 0};
  }
  const ssize_t got = ::recv(fd_.get(), buffer, size, 0);
  if (got > 0) return {Step::kDone, static_cast<std::size_t>(got)};
  if (got < 0 && would_block()) return {Step::kWantRead, 0};
  return {Step::kEnd, 0};
}

Connection::Moved Connection::write_once(std::string_view bytes) {
  if (ssl_) {
    ERR_clear_error();
    std::size_t sent = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
    if (result == 1) return {Step::kDone, sent};
    return {step_of_ssl(ssl_.get(), result), 0};
  }
  const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return {Step::kDone, static_cast<std::size_t>(sent)};
  if (would_block()) return {Step::kWantWrite, 0};
  return {Step::kEnd, 0};
}

Connection::Step Connection::try_read(std::string& into, std::size_t size) {
  const std::size_t before = into.size();
  into.resize(before + size);
  const Moved moved = read_once(into.data() + before, size);
  into.resize(before + moved.bytes);
  return moved.step;
}

/// Waits until the socket is ready, and counts the time against the peer.
Status Connection::wait(Step step) {
  pollfd entries[2] = {{fd_.get(), static_cast<short>(step == Step::kWantRead ? POLLIN : POLLOUT), 0},
                       {cut_.fd(), POLLIN, 0}};
  const std::int64_t begun = monotonic_ms();
  progress_->waits_since = begun;
  const int ready = ::poll(entries, 2, limits_->silence_timeout_ms);
  progress_->waits_since = 0;
  progress_->waited_ms += monotonic_ms() - begun;
  if (progress_->evicted) return fail(Code::kUnavailable, "{} was slow, and others waited for its thread", peer_);
  if (ready < 0 && errno != EINTR) return fail_errno("cannot wait for {}", peer_);
  if (cut_.fired()) return fail(Code::kCancelled, "the server ends");
  if (ready == 0)
    return fail(Code::kDeadlineExceeded, "{} moved no byte for {} s", peer_, limits_->silence_timeout_ms / 1000);
  window_ms_ += monotonic_ms() - begun;
  if (limits_->slowest_rate > 0 && window_ms_ >= limits_->slow_window_ms) {
    if (window_bytes_ < limits_->slowest_rate * window_ms_ / 1000)
      return fail(Code::kDeadlineExceeded, "{} is slower than {} bytes a second", peer_, limits_->slowest_rate);
    window_ms_ = window_bytes_ = 0;
  }
  return {};
}

void Connection::moved(std::size_t bytes) {
  if (bytes == 0) return;
  window_bytes_ += static_cast<std::int64_t>(bytes);
  progress_->bytes += static_cast<std::int64_t>(bytes);
  progress_->moved_at = monotonic_ms();
}

std::optional<std::int64_t> Connection::slowness(std::int64_t least_ms) const {
  const std::int64_t since = progress_->waits_since;
  if (since == 0 || progress_->evicted) return std::nullopt;
  const std::int64_t waited = progress_->waited_ms + std::max<std::int64_t>(monotonic_ms() - since, 0);
  if (waited < std::max<std::int64_t>(least_ms, 1)) return std::nullopt;
  return progress_->bytes * 1000 / waited;
}

void Connection::evict() {
  progress_->evicted = true;
  (void)::shutdown(fd_.get(), SHUT_RDWR);
}

void Connection::begin_request() {
  progress_->bytes = 0;
  progress_->waited_ms = 0;
}

Result<std::size_t> Connection::read(char* buffer, std::size_t size) {
  while (true) {
    const Moved got = read_once(buffer, size);
    if (got.step == Step::kDone || got.step == Step::kEnd) {
      moved(got.bytes);
      return got.bytes;
    }
    TRY(wait(got.step));
  }
}

Status Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const Moved sent = write_once(bytes);
    if (sent.step == Step::kEnd) return fail(Code::kUnavailable, "{} hung up", peer_);
    moved(sent.bytes);
    bytes.remove_prefix(sent.bytes);
    if (sent.step != Step::kDone) TRY(wait(sent.step));
  }
  return {};
}

Status Connection::write_file(std::string_view head, int file, std::int64_t offset, std::int64_t length) {
  if (ssl_) {
    TRY(write(head));
    return copy_file(file, offset, length);
  }
  while (!head.empty()) {
    const ssize_t sent = ::send(fd_.get(), head.data(), head.size(), MSG_NOSIGNAL | MSG_MORE);
    if (sent < 0 && !would_block()) return fail(Code::kUnavailable, "{} hung up", peer_);
    if (sent < 0) TRY(wait(Step::kWantWrite));
    if (sent > 0) head.remove_prefix(static_cast<std::size_t>(sent));
  }
  return send_plain_file(file, offset, length);
}

Status Connection::send_plain_file(int file, std::int64_t offset, std::int64_t length) {
  off_t at = offset;
  while (length > 0) {
    const std::size_t size = std::min<std::size_t>(static_cast<std::size_t>(length), kSendfileBytes);
    const ssize_t sent = ::sendfile(fd_.get(), file, &at, size);
    if (sent < 0 && (errno == EINVAL || errno == ENOSYS)) return copy_file(file, at, length);
    if (sent < 0 && errno == EIO) return fail_errno("cannot read the file to send");
    if (sent < 0 && !would_block()) return fail(Code::kUnavailable, "{} hung up", peer_);
    if (sent == 0) return fail(Code::kDataLoss, "the file to send is shorter than it should be");
    if (sent < 0) {
      TRY(wait(Step::kWantWrite));
      continue;
    }
    moved(static_cast<std::size_t>(sent));
    length -= sent;
  }
  return {};
}

Status Connection::copy_file(int file, std::int64_t offset, std::int64_t length) {
  std::vector<char> buffer(static_cast<std::size_t>(std::min<std::int64_t>(length, kCopyBytes)));
  while (length > 0) {
    const auto size = static_cast<std::size_t>(std::min<std::int64_t>(length, std::ssize(buffer)));
    const std::size_t got = TRY(sys::read_some_at(file, buffer.data(), size, offset));
    if (got == 0) return fail(Code::kDataLoss, "the file to send is shorter than it should be");
    TRY(write({buffer.data(), got}));
    offset += static_cast<std::int64_t>(got);
    length -= static_cast<std::int64_t>(got);
  }
  return {};
}

void Connection::end_sending() {
  if (ssl_) {
    ERR_clear_error();
    (void)SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  (void)::shutdown(fd_.get(), SHUT_WR);
}

void Connection::reset_on_close() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace slipway::httpd
