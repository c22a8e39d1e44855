// Connection: one accepted socket, plain or TLS. Two ways to use it: step by step without waiting (the poller), and
// blocking with the limits on slow peers (a request's thread). One thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "httpd/server.hpp"
#include "httpd/tls.hpp"
#include "sys/fd.hpp"

namespace slipway::httpd {

class Connection {
 public:
  /// `fd` is non-blocking. `cut` ends every blocking call when it fires; `limits` outlives the connection.
  Connection(sys::Fd fd, Ssl ssl, std::string peer, const Limits& limits, Cancel cut)
      : fd_(std::move(fd)), ssl_(std::move(ssl)), peer_(std::move(peer)), limits_(&limits), cut_(std::move(cut)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] bool secure() const { return ssl_ != nullptr; }

  enum class Step : unsigned char {
    kDone,       ///< the handshake is over; bytes were read
    kWantRead,   ///< again when the socket is readable
    kWantWrite,  ///< again when it is writable
    kEnd,        ///< the peer has ended, or it is no use
  };
  [[nodiscard]] Step handshake();
  /// Before handshake(): whether the peer has begun to speak plain HTTP. Then TLS is given up, so that it can be told.
  [[nodiscard]] bool is_plain_http();
  /// It was: no request of this connection may be handled.
  [[nodiscard]] bool misdirected() const { return misdirected_; }
  /// Appends what is there to `into`, up to `size` bytes at once.
  [[nodiscard]] Step try_read(std::string& into, std::size_t size);

  /// What is there already, without waiting: 0 when nothing is, or the peer has ended.
  [[nodiscard]] std::size_t read_now(char* buffer, std::size_t size) {
    const Moved got = read_once(buffer, size);
    moved(got.bytes);
    return got.bytes;
  }

  /// At least a byte; 0 when the peer has ended.
  [[nodiscard]] Result<std::size_t> read(char* buffer, std::size_t size);
  [[nodiscard]] Status write(std::string_view bytes);
  /// `head` first, then the file's bytes.
  [[nodiscard]] Status write_file(std::string_view head, int file, std::int64_t offset, std::int64_t length);
  /// The end of what we send; the peer sees an orderly end.
  void end_sending();
  /// The next close is a reset: the peer can not take what it got for all there is.
  void reset_on_close();

  // For the poller, while a request's thread has the connection.

  /// Bytes a second of waiting for the peer, in the request that runs; nothing unless the thread waits for the peer
  /// just now and did so for `least_ms` in all.
  [[nodiscard]] std::optional<std::int64_t> slowness(std::int64_t least_ms) const;
  /// When the last byte went in or out, monotonic ms.
  [[nodiscard]] std::int64_t moved_at() const { return progress_->moved_at; }
  /// Ends what the thread waits for: others need it more.
  void evict();
  /// A new request begins.
  void begin_request();

 private:
  struct Moved {
    Step step = Step::kEnd;
    std::size_t bytes = 0;
  };
  Moved read_once(char* buffer, std::size_t size);
  Moved write_once(std::string_view bytes);
  Status wait(Step step);
  void moved(std::size_t bytes);
  Status send_plain_file(int file, std::int64_t offset, std::int64_t length);
  Status copy_file(int file, std::int64_t offset, std::int64_t length);

  /// Written by the request's thread, read by the poller.
  struct Progress {
    std::atomic<std::int64_t> bytes = 0, waited_ms = 0;  ///< of this request
    std::atomic<std::int64_t> waits_since = 0;           ///< 0: does not wait for the peer
    std::atomic<std::int64_t> moved_at = 0;
    std::atomic<bool> evicted = false;
  };

  sys::Fd fd_;
  Ssl ssl_;
  std::string peer_;
  const Limits* limits_;
  Cancel cut_;
  bool looked_ = false, misdirected_ = false;
  std::int64_t window_ms_ = 0, window_bytes_ = 0;  ///< of waiting, and what was moved meanwhile
  std::unique_ptr<Progress> progress_ = std::make_unique<Progress>();
};

}  // namespace slipway::httpd
