// The HTTP client: one blocking transfer per call, many calls in parallel, connections kept for reuse.
//
//   Client client({.user_agent = "slipway/0.1"});
//   Request request{.method = "GET", .url = url, .headers = {{"Accept", "application/json"}}};
//   Outcome outcome = client.send(request, {.body = [&](std::string_view bytes) { … }}, cancel);
//   if (!outcome) … outcome.error().trouble says what kind of failure, .error is for people
//   outcome->status, outcome->headers.find("content-type")
//
// What it does not do, on purpose: follow redirects, answer 401, retry, decode a Content-Encoding, read .netrc. The
// caller decides all of that, because credentials are in play (docs/security.md, invariants 5 and 6). Only http and
// https are spoken. Proxies are those of the options (proxies.hpp); libcurl reads no variable. libcurl is loaded at the
// first transfer: a command that does not use the network does not pay for it.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "http/proxies.hpp"
#include "http/url.hpp"

namespace slipway::http {

struct Header {
  std::string name, value;
};

/// The headers of an answer, in order; names are compared without case.
class Headers {
 public:
  void add(std::string name, std::string value) { list_.push_back({std::move(name), std::move(value)}); }
  void clear() { list_.clear(); }
  /// The first of that name, or nothing.
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const;

 private:
  std::vector<Header> list_;
};

/// Extra trust and the client's own certificate for one host; files are read at each new connection.
struct Tls {
  std::string extra_roots;       ///< PEM text, added to the roots of the client
  std::string certificate_file;  ///< PEM; empty: none
  std::string key_file;
  bool verify = true;  ///< false: whoever answers is believed (a registry that was called insecure)
  friend bool operator==(const Tls&, const Tls&) = default;
};

/// Bytes to send. `read` gives up to `size` bytes, 0 at the end; `size` unknown means chunked. `rewind` starts `read`
/// anew: needed when a kept connection turns out to be dead; without it such a request fails as kBroken.
struct Body {
  std::function<Result<std::size_t>(char* buffer, std::size_t size)> read;
  std::optional<std::int64_t> size;
  std::function<Status()> rewind;
  static Body of(std::string text);
};

struct Request {
  std::string method = "GET";
  Url url;
  std::vector<Header> headers;
  std::optional<Body> body;
  Tls tls;
  /// A new connection that serves this request only: for a network that cuts connections after so many bytes.
  bool lone = false;
};

struct Response {
  int status = 0;
  std::string reason;  ///< the phrase behind the status, as it came; empty with HTTP/2
  Headers headers;
};

/// Receives an answer while it comes. All are called in the thread of send(); an error of any ends the transfer and
/// comes back unchanged as Trouble::kReader. Empty ones: everything is dropped.
struct Reader {
  std::function<Status(const Response&)> head;   ///< once, before the first byte of the body
  std::function<Status(std::string_view)> body;  ///< pieces in order
  std::function<Status()> idle;                  ///< at least once a second, also while nothing comes
};

/// What kind of failure ended a transfer.
enum class Trouble : unsigned char {
  kResolve,      ///< the host's name has no address
  kConnect,      ///< no TCP connection
  kNotTls,       ///< the peer does not speak TLS (garbage, or it hung up at the handshake)
  kTlsRefused,   ///< the peer speaks TLS and would not have us
  kCertificate,  ///< the peer's or our certificate is not good
  kProxy,        ///< the proxy refuses us or the way, or is not to be trusted
  kTimeout,      ///< too long to connect, silence, or too slow
  kBroken,       ///< ended in the middle
  kProtocol,     ///< not HTTP, or headers beyond the limit
  kReader,       ///< a callback of ours said no: `error` is its error
  kCancelled,
  kOther,
};

struct Failure {
  Trouble trouble = Trouble::kOther;
  Error error;
  /// Whether the same request may well work in a moment.
  [[nodiscard]] bool passing() const {
    return trouble == Trouble::kResolve || trouble == Trouble::kConnect || trouble == Trouble::kTimeout ||
           trouble == Trouble::kBroken;
  }
};
using Outcome = std::expected<Response, Failure>;

struct ClientOptions {
  std::string user_agent;
  std::string ca_file;       ///< SSL_CERT_FILE: PEM bundle instead of the system's
  std::string ca_directory;  ///< SSL_CERT_DIR: hashed directory
  Proxies proxies;
  int connect_timeout_ms = 30'000;
  /// Ends a transfer that moved no byte of a body for so long. Headers do not count but for their end: a line now and
  /// then is no answer.
  int silence_timeout_ms = 60'000;
  /// Ends a transfer whose bodies moved fewer than `slowest_bytes` within `slow_window_ms`. Bytes that were sent count
  /// once the peer's TCP has them. The time that our own callbacks take counts nowhere.
  std::int64_t slowest_bytes = 30 * 1024;
  int slow_window_ms = 30'000;
};

/// Safe in any thread.
class Client {
 public:
  explicit Client(ClientOptions options);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();
  /// One exchange, any status. Header bytes are limited to 64 KiB in all, 1xx answers included. A fired `cancel` ends
  /// it at once.
  [[nodiscard]] Outcome send(const Request& request, const Reader& reader, const Cancel& cancel) const;
  /// Whether the peer of an https address answers a TLS handshake. Nothing is sent after it and nobody is trusted: it
  /// tells a plain HTTP server from the others, and costs no reading of root certificates.
  [[nodiscard]] std::expected<bool, Failure> speaks_tls(const Url& url, const Cancel& cancel) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway::http
