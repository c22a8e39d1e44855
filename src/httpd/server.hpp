// The HTTP/1.1 server: many connections, straight blocking handlers. The door of this folder.
//
//   httpd::Options options;
//   options.addresses = {TRY(httpd::Address::parse("127.0.0.1:0"))};
//   auto server = TRY(httpd::Server::listen(std::move(options)));
//   say("listening on " + server.urls().front());
//   TRY(server.run([&](httpd::Request& request, httpd::Answer& answer) {
//     answer.header("Content-Type", "text/plain");
//     (void)answer.send(200, "hello\n");
//   }, cancel));                                  // until `cancel` fires; then what was begun may end
//
// One thread polls: it accepts, shakes hands (TLS) and collects request heads, of as many peers as there are, without
// waiting for any of them. A peer whose head is whole gets a thread of a bounded pool for this one request; the
// handler reads the body and writes the answer in that thread, blocking, and the connection goes back to the poller. So
// a peer that says nothing, or says it slowly, costs a descriptor and at most Limits::head_bytes, never a thread; and
// one that moves a body slower than Limits::slowest_rate is cut. When there are too many connections, the one that has
// been silent longest makes room; when all threads are taken and requests wait, the peers that are slowest just now do.
// Nobody waits for the rest of a body that the handler did not read: the answer closes the connection.
//
// Requests are parsed by Boost.Beast (parser.cpp). What two parsers could read differently is refused: a length given
// twice or beside chunks, codings other than chunked, no Host or several, bare line ends.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "httpd/target.hpp"

namespace slipway::httpd {

/// Where to listen: an address and a port; port 0 is any free one.
class Address {
 public:
  /// "127.0.0.1:5000", "[::1]:5000", "localhost:5000", ":5000" (every address of the machine).
  static Result<Address> parse(std::string_view text);
  [[nodiscard]] const std::string& host() const { return host_; }  ///< without brackets; empty: all addresses
  [[nodiscard]] int port() const { return port_; }
  /// Whether only this machine reaches it.
  [[nodiscard]] bool loopback() const;
  [[nodiscard]] std::string text() const;

 private:
  std::string host_;
  int port_ = 0;
};

/// What a peer may cost. Times are of waiting for the peer; what a handler takes for itself does not count.
struct Limits {
  std::size_t head_bytes = 64 * 1024;   ///< request line and headers
  std::size_t target_bytes = 8 * 1024;  ///< the request target alone
  int connections = 4096;               ///< less where the process may not have so many descriptors
  int requests = 1024;                  ///< handled at the same time, a thread each; more wait
  int head_timeout_ms = 20'000;         ///< from the first byte of a head (or of a TLS handshake) to its last
  int idle_timeout_ms = 120'000;        ///< between requests
  int silence_timeout_ms = 60'000;      ///< a body or an answer that moves no byte for so long has failed
  std::int64_t slowest_rate = 1024;     ///< bytes a second, over slow_window_ms of waiting; 0: any
  int slow_window_ms = 30'000;
  /// Without a thread for so long, requests get those of the peers that are slowest just now; they are cut.
  int queue_ms = 250;
  int half_closed_ms = 10'000;  ///< a peer that sends no more, and takes no byte for so long, has hung up
  int grace_ms = 8'000;         ///< what running requests have left after a stop was asked for
};

/// Certificate chain and key, PEM files. Read again when they change on the disk (a renewed certificate).
struct TlsFiles {
  std::string certificate, key;
};

class Exchange;

/// What was asked. Valid while the handler runs.
class Request {
 public:
  [[nodiscard]] const std::string& method() const;
  [[nodiscard]] const Target& target() const;
  /// The first header of that name (without case).
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> headers(std::string_view name) const;
  /// As announced; nothing with chunks, 0 without a body.
  [[nodiscard]] std::optional<std::int64_t> content_length() const;
  /// Up to `size` bytes of the body, 0 at its end. Asks for it first where the peer waits for that (100-continue). An
  /// error ends the connection after the answer: kInvalidArgument when it is no valid body, kUnavailable when the peer
  /// is gone, kDeadlineExceeded when it is too slow, kCancelled when the server ends.
  [[nodiscard]] Result<std::size_t> read(char* buffer, std::size_t size);
  /// The whole body; kOutOfRange when it is longer than `limit`.
  [[nodiscard]] Result<std::string> read_all(std::int64_t limit);
  [[nodiscard]] const std::string& peer() const;  ///< "127.0.0.1"
  [[nodiscard]] bool secure() const;              ///< came through TLS
  /// Fires when the peer has hung up, or the server's grace is over: for handlers that wait for something else. A peer
  /// that only ended its own sending may still wait: it has Limits::half_closed_ms between bytes.
  [[nodiscard]] Cancel cancel();
  /// Who asks, as the handler found out: for the log.
  void set_user(std::string user);
  /// Something for the log's line, one clause.
  void note(std::string text);

 private:
  friend class Exchange;
  explicit Request(Exchange& exchange) : exchange_(&exchange) {}
  Exchange* exchange_;
};

/// What is answered. Nothing goes out before the first byte of the body, or the end of the handler.
class Answer {
 public:
  /// Before start() or send(), after which no more of the request's body can be read. Control characters in a value
  /// become '?'.
  void header(std::string name, std::string_view value);
  /// Put behind the status's own phrase ("503 Service Unavailable: WHY"): some clients show nothing else of an error,
  /// and a HEAD has no body. At most 200 characters of ASCII; others become '?'.
  void reason(std::string_view why);
  /// A whole answer. A HEAD request gets the head only, with the body's length.
  [[nodiscard]] Status send(int status, std::string_view body);
  /// An answer whose body follows by write() and write_file(). Without a length it goes out in chunks.
  [[nodiscard]] Status start(int status, std::optional<std::int64_t> length);
  /// Does nothing for a HEAD request, beyond counting.
  [[nodiscard]] Status write(std::string_view bytes);
  /// `length` bytes of a file, without passing through this process where that is possible.
  [[nodiscard]] Status write_file(int fd, std::int64_t offset, std::int64_t length);
  /// The connection is cut: the peer must not take what it got for a whole answer.
  void cut();
  [[nodiscard]] bool started() const;

 private:
  friend class Exchange;
  explicit Answer(Exchange& exchange) : exchange_(&exchange) {}
  Exchange* exchange_;
};

/// One request and its answer, for a log.
struct Served {
  std::string peer, user;  ///< user: as set_user() said, or empty
  std::string method, target;
  int status = 0;             ///< 0: no answer began
  std::int64_t received = 0;  ///< bytes of the body that were read
  std::int64_t sent = 0;      ///< bytes of the answer's body
  std::int64_t milliseconds = 0;
  bool whole = true;  ///< false: the answer (or the request) broke off
  std::string note;
};

using Handler = std::function<void(Request& request, Answer& answer)>;

struct Options {
  std::vector<Address> addresses;
  std::optional<TlsFiles> tls;
  Limits limits;
  std::function<void(const Served&)> served;             ///< after each request, in its thread
  std::function<void(const std::string& what)> trouble;  ///< what is no request's: a certificate that can not be read
};

class Server {
 public:
  /// Binds and listens; run() answers. Errors name the address.
  static Result<Server> listen(Options options);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();
  /// "http://127.0.0.1:5000", one for each address, with the port that it got.
  [[nodiscard]] std::vector<std::string> urls() const;
  [[nodiscard]] int port() const;      ///< of the first address
  [[nodiscard]] int requests() const;  ///< Limits::requests, or less where the process may have few descriptors
  /// Serves until `cancel` fires, then closes what is idle, gives running requests their grace, and returns when all
  /// threads have ended. Success is having ended in order.
  [[nodiscard]] Status run(const Handler& handler, const Cancel& cancel);

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipway::httpd
