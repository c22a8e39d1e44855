// LoopbackServer: the other end of a test. A plain HTTP/1.1 server on 127.0.0.1 that answers with whatever bytes the
// test's handler writes, lies included, and remembers what it was asked.
//
//   LoopbackServer server([](const Received& request, Connection& peer) { peer.reply(200, {}, "hello"); });
//   … client.send({.url = server.url("/x")}, …)
//   EXPECT_EQ(server.received().at(0).target, "/x");
//
// Linked into tests only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/client.hpp"

namespace slipway::http::testing {

/// A request as it came, its body read to the end.
struct Received {
  std::string method, target;
  Headers headers;
  std::string body;
  int connection = 0;  ///< 1 for the first connection that was accepted, 2 for the second …
};

/// The server's end of one connection. Writing to a peer that left is no error: tests look at the client's side.
class Connection {
 public:
  Connection(int fd, int number) : fd_(fd), number_(number) {}
  /// False when the peer is gone.
  bool send(std::string_view raw);
  /// A whole answer with Content-Length.
  void reply(int status, const std::vector<Header>& headers, std::string_view body);
  /// Blocks until the peer hangs up.
  void wait_for_hang_up();
  /// Ends the connection after the handler; what the peer still sends is dropped.
  void close() { open_ = false; }
  /// Ends it with a reset instead of an orderly end.
  void reset();
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] bool orderly() const { return orderly_; }  ///< false after reset()
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int number() const { return number_; }

 private:
  int fd_;
  int number_;
  bool open_ = true;
  bool orderly_ = true;
};

using Handler = std::function<void(const Received& request, Connection& peer)>;
/// How many bytes of a request's body are read before the handler is called; nothing: all of them. The handler of a
/// request that was not read to its end has to close().
using Appetite = std::function<std::optional<std::size_t>(const Received& head)>;

class LoopbackServer {
 public:
  explicit LoopbackServer(Handler handler, Appetite appetite = nullptr);
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;
  ~LoopbackServer();  ///< hangs up on everybody and waits for the handlers
  [[nodiscard]] int port() const;
  [[nodiscard]] std::string authority() const;           ///< "127.0.0.1:port"
  [[nodiscard]] Url url(std::string_view target) const;  ///< of http
  [[nodiscard]] std::vector<Received> received() const;  ///< in order of arrival

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway::http::testing
