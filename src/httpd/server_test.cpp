// The server from outside: raw bytes over loopback sockets.
#include "httpd/server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "base/synced.hpp"
#include "sys/child.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"

namespace slipway::httpd {
namespace {

/// A client that says exactly what it is told.
class Client {
 public:
  explicit Client(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const timeval patience{60, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Until `mark` is among what came, or the end.
  std::string until(std::string_view mark) {
    while (!got_.contains(mark)) {
      if (!more()) return std::exchange(got_, {});
    }
    const auto end = got_.find(mark) + mark.size();
    std::string out = got_.substr(0, end);
    got_.erase(0, end);
    return out;
  }
  std::string rest() {
    while (more()) {}
    return std::exchange(got_, {});
  }
  /// One answer with Content-Length: head and body.
  std::string answer() {
    std::string head = until("\r\n\r\n");
    const auto at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    const std::size_t length = std::stoul(head.substr(at + 16));
    while (got_.size() < length && more()) {}
    head += got_.substr(0, length);
    got_.erase(0, length);
    return head;
  }
  void hang_up() { fd_.reset(); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] int error() const { return error_; }

 private:
  bool more() {
    char buffer[65536];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (got < 0) error_ = errno;
    if (got <= 0) return false;
    got_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
  sys::Fd fd_;
  bool connected_ = false;
  int error_ = 0;
  std::string got_;
};

/// A server in a thread of its own, stopped by its destructor.
class Running {
 public:
  explicit Running(Handler handler, Limits limits = {}, std::optional<TlsFiles> tls = {}) {
    Options options;
    options.addresses = {*Address::parse("127.0.0.1:0")};
    options.limits = limits;
    options.tls = std::move(tls);
    options.served = [this](const Served& served) { served_.lock()->push_back(served); };
    auto server = Server::listen(std::move(options));
    if (!server) throw std::runtime_error(server.error().message());
    port_ = server->port();
    thread_ = std::thread([this, handler = std::move(handler), held = std::move(*server)]() mutable {
      ended_ = held.run(handler, source_.cancel()).has_value();
    });
  }
  ~Running() { stop(); }
  void ask_to_stop() { source_.fire("test"); }
  bool stop() {
    ask_to_stop();
    if (thread_.joinable()) thread_.join();
    return ended_;
  }
  [[nodiscard]] int port() const { return port_; }
  std::vector<Served> served() { return *served_.lock(); }

 private:
  CancelSource source_;
  Synced<std::vector<Served>> served_;
  int port_ = 0;
  bool ended_ = false;
  std::thread thread_;
};

void echo(Request& request, Answer& answer) {
  const auto body = request.read_all(1 << 20);
  answer.header("X-Path", request.target().path());
  if (!body) {
    (void)answer.send(413, body.error().what());
    return;
  }
  (void)answer.send(200, *body);
}

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

TEST(Server, AnswersAndKeepsTheConnection) {
  Running server(echo);
  Client client(server.port());
  for (int i = 0; i < 3; ++i) {
    client.send("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    const std::string answer = client.answer();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_TRUE(answer.contains("X-Path: /x\r\n")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\nhello")) << answer;
  }
}

TEST(Server, PipelinedRequestsAreAnsweredInOrder) {
  Running server(echo);
  Client client(server.port());
  client.send(
      "PUT /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"
      "PUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntwo" +
      std::string(kGet));
  EXPECT_TRUE(client.answer().ends_with("one"));
  EXPECT_TRUE(client.answer().ends_with("two"));
  EXPECT_TRUE(client.answer().contains("X-Path: /a"));
}

TEST(Server, HeadHasNoBody) {
  Running server([](Request&, Answer& answer) { (void)answer.send(200, "four"); });
  Client client(server.port());
  client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(client.until("\r\n\r\n").contains("Content-Length: 4\r\n"));
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string answer = client.rest();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nfour")) << answer;
}

TEST(Server, Continue) {
  Running server(echo);
  Client client(server.port());
  client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_TRUE(client.answer().ends_with("ok"));
}

TEST(Server, WhoIsRefusedBeforeTheBodySeesTheAnswer) {
  Running server([](Request&, Answer& answer) { (void)answer.send(401, "no"); });
  Client client(server.port());
  // Much more than fits into the buffers in between: a close with unread bytes would lose the answer.
  client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n");
  std::thread sender([&] { client.send(std::string(8 << 20, 'x')); });
  const std::string answer = client.answer();
  sender.join();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401")) << answer;
  EXPECT_TRUE(answer.ends_with("no"));
}

TEST(Server, StreamsOfUnknownLength) {
  Running server([](Request&, Answer& answer) {
    (void)answer.start(200, std::nullopt);
    (void)answer.write("one");
    (void)answer.write("two");
  });
  Client client(server.port());
  client.send(kGet);
  const std::string answer = client.until("\r\n0\r\n\r\n");
  EXPECT_TRUE(answer.contains("Transfer-Encoding: chunked\r\n"));
  EXPECT_TRUE(answer.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")) << answer;
  Client old(server.port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.rest().ends_with("\r\n\r\nonetwo"));
}

TEST(Server, AnAnswerThatBreaksOffIsNoWholeOne) {
  Running server([](Request& request, Answer& answer) {
    const bool known = request.target().path() == "/known";
    (void)answer.start(200, known ? std::optional<std::int64_t>(10) : std::nullopt);
    (void)answer.write("part");
    if (!known) answer.cut();
  });
  for (const char* path : {"/known", "/chunks"}) {
    Client client(server.port());
    client.send(fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", path));
    const std::string answer = client.rest();
    EXPECT_FALSE(answer.ends_with("0\r\n\r\n")) << answer;
    EXPECT_EQ(client.error(), ECONNRESET) << path;
  }
}

TEST(Server, FilesGoOutWhole) {
  const auto folder = sys::TempDir::make("/tmp", "httpd");
  ASSERT_TRUE(folder);
  std::string bytes(5 << 20, 'x');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 3);
  const std::string path = folder->path() + "/file";
  ASSERT_TRUE(sys::replace_file(path, bytes, 0600));
  Running server([&](Request&, Answer& answer) {
    const auto file = sys::open(path, O_RDONLY);
    (void)answer.start(200, std::ssize(bytes) - 7);
    (void)answer.write_file(file->get(), 7, std::ssize(bytes) - 7);
  });
  Client client(server.port());
  client.send(kGet);
  const std::string answer = client.answer();
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), bytes.substr(7));
  client.send(kGet);  // and the connection is still good
  EXPECT_EQ(client.answer().size(), answer.size());
}

TEST(Server, GarbageIsRefusedAndOthersGoOn) {
  Running server(echo);
  Client bad(server.port());
  bad.send("\x16\x03\x01 what is this\r\n\r\n");
  EXPECT_TRUE(bad.rest().starts_with("HTTP/1.1 400")) << "plain answer";
  Client tls(server.port());  // who tries TLS first must not wait for the answer that this is none
  tls.send(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
  const std::string told = tls.rest();  // a plain answer, at once
  EXPECT_TRUE(told.starts_with("HTTP/1.1 400")) << told;
  EXPECT_NE(told.find("a TLS handshake came"), std::string::npos) << told;
  Client large(server.port());
  large.send("GET / HTTP/1.1\r\nHost: h\r\n");
  large.send("X: " + std::string(128 * 1024, 'x'));
  EXPECT_TRUE(large.rest().starts_with("HTTP/1.1 431"));
  Client good(server.port());
  good.send(kGet);
  EXPECT_TRUE(good.answer().starts_with("HTTP/1.1 200"));
}

/// A certificate for nobody, made here: the peers of the test never shake hands.
TlsFiles make_certificate(const std::string& directory) {
  const TlsFiles files{directory + "/cert.pem", directory + "/key.pem"};
  const auto made = sys::run(
      {.argv = {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", files.key, "-out", files.certificate},
       .environment = {"PATH=/usr/bin:/bin"}},
      "", {}, 60'000);
  EXPECT_TRUE(made && made->status.ok());
  return files;
}

TEST(Server, WhoSpeaksPlainHttpToATlsPortIsToldSo) {
  const auto directory = *sys::TempDir::make("/tmp", "slipway-httpd-test-");
  std::atomic<int> handled = 0;
  Running server([&](Request&, Answer&) { ++handled; }, {}, make_certificate(directory.path()));
  for (const char* request :
       {"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", "PATCH /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "delete it\r\n\r\n"}) {
    Client client(server.port());
    ASSERT_TRUE(client.send(std::string_view(request).substr(0, 1)));  // its first byte tells, whenever the rest comes
    ASSERT_TRUE(client.send(std::string_view(request).substr(1)));
    const std::string told = client.rest();
    EXPECT_TRUE(told.starts_with("HTTP/1.1 400 ")) << told;
    if (!std::string_view(request).starts_with("delete")) {
      EXPECT_TRUE(told.ends_with("\r\n\r\nthis port speaks TLS; use https://\n")) << told;
    }
  }
  Client garbage(server.port());
  ASSERT_TRUE(garbage.send("\x16\x03\x01 no hello, and then GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(garbage.rest().starts_with("HTTP/"));
  EXPECT_EQ(handled, 0);
  ASSERT_TRUE(server.stop());
  const auto served = server.served();
  ASSERT_EQ(served.size(), 3U);
  EXPECT_EQ(served[1].method, "PATCH");
  EXPECT_EQ(served[1].note, "this port speaks TLS; use https://");
}

TEST(Server, AReasonStandsBehindTheStatus) {
  Running server([](Request&, Answer& answer) {
    answer.reason("no\r\nroom \x1b[31m" + std::string(500, 'x'));
    (void)answer.send(503, "");
  });
  Client client(server.port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  const std::string told = client.answer();
  EXPECT_TRUE(told.starts_with("HTTP/1.1 503 Service Unavailable: no??room ?[31mxxx")) << told;
  EXPECT_LT(told.find("\r\n"), 260U);
}

TEST(Server, AHandlersExceptionIsAnAnswer) {
  Running server([](Request&, Answer&) { throw std::runtime_error("bug"); });
  Client client(server.port());
  client.send(kGet);
  EXPECT_TRUE(client.answer().starts_with("HTTP/1.1 500"));
}

TEST(Server, HeadersCannotBeForged) {
  Running server([](Request&, Answer& answer) {
    answer.header("X", "a\r\nEvil: yes");
    (void)answer.send(200, "");
  });
  Client client(server.port());
  client.send(kGet);
  EXPECT_TRUE(client.until("\r\n\r\n").contains("X: a??Evil: yes\r\n"));
}

TEST(Server, AThousandSilentPeersDoNotStopOthers) {
  Limits limits;
  limits.requests = 2;
  Running server(echo, limits);
  std::vector<Client> silent;
  for (int i = 0; i < 1000; ++i) {
    Client& client = silent.emplace_back(server.port());
    if (!client.connected()) break;  // out of our own descriptors: what there is has to do
    if (i % 2 == 0) client.send("GET /slow HTTP/1.1\r\nHo");
  }
  Client client(server.port());
  client.send(kGet);
  EXPECT_TRUE(client.answer().starts_with("HTTP/1.1 200"));
}

TEST(Server, AFewEmptyLinesBeforeARequestAreForgivenAFloodIsNot) {
  Running server(echo);
  Client polite(server.port());
  polite.send("\r\n\r\n" + std::string(kGet));
  EXPECT_TRUE(polite.answer().starts_with("HTTP/1.1 200"));
  polite.send("\r\n\r\n\r\n\r\n" + std::string(kGet));  // counted anew
  EXPECT_TRUE(polite.answer().starts_with("HTTP/1.1 200"));
  Client flood(server.port());
  for (int i = 0; i < 5; ++i) flood.send("\r\n");
  EXPECT_TRUE(flood.rest().starts_with("HTTP/1.1 400"));
}

TEST(Server, EmptyLinesDoNotBeginThePatienceAnew) {
  Limits limits;
  limits.head_timeout_ms = 200;
  limits.idle_timeout_ms = 600'000;
  Running server(echo, limits);
  Client client(server.port());
  client.send("\r\n");
  EXPECT_EQ(client.rest(), "");  // cut by the head's timeout, not by that of an idle connection
}

TEST(Server, NobodyWaitsForARefusedBody) {
  Limits limits;
  limits.requests = 2;
  limits.silence_timeout_ms = 600'000;
  limits.slowest_rate = 0;
  limits.queue_ms = 600'000;  // nothing is evicted
  Running server([](Request&, Answer& answer) { (void)answer.send(401, "no"); }, limits);
  std::vector<Client> silent;
  for (int i = 0; i < 4; ++i) {
    silent.emplace_back(server.port()).send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n");
    const std::string answer = silent.back().answer();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 401")) << answer;
    EXPECT_TRUE(answer.contains("Connection: close\r\n")) << answer;
  }
  Client whole(server.port());  // a body that is here saves the connection
  whole.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody" + std::string(kGet));
  EXPECT_FALSE(whole.answer().contains("Connection: close\r\n"));
  EXPECT_TRUE(whole.answer().starts_with("HTTP/1.1 401"));
}

TEST(Server, SlowReadersMakeRoomForOthers) {
  Limits limits;
  limits.requests = 2;
  limits.silence_timeout_ms = 600'000;
  limits.slowest_rate = 0;
  const std::string large(64 << 20, 'x');
  Running server(
      [&](Request& request, Answer& answer) {
        (void)answer.send(200, request.target().path() == "/large" ? std::string_view(large) : "small");
      },
      limits);
  std::vector<Client> slow;
  for (int i = 0; i < 4; ++i) {
    slow.emplace_back(server.port()).send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    if (i < 2) slow.back().until("\r\n\r\n");  // these have the two threads
  }
  Client client(server.port());
  client.send(kGet);
  EXPECT_TRUE(client.answer().ends_with("small"));
}

TEST(Server, AHalfClosedPeerIsStillAnswered) {
  std::atomic<bool> begun = false;
  std::atomic<bool> go_on = false;
  Running server([&](Request& request, Answer& answer) {
    const Cancel cancel = request.cancel();
    begun = true;
    while (!go_on && !cancel.fired()) std::this_thread::yield();
    (void)answer.send(cancel.fired() ? 503 : 200, "answer");
  });
  Client client(server.port());
  client.send(kGet);
  while (!begun) std::this_thread::yield();
  ASSERT_EQ(::shutdown(client.fd(), SHUT_WR), 0);
  Client other(server.port());  // whose answer shows that the poller has seen the end of the first
  other.send("GARBAGE\r\n\r\n");
  EXPECT_TRUE(other.rest().starts_with("HTTP/1.1 400"));
  go_on = true;
  EXPECT_TRUE(client.answer().starts_with("HTTP/1.1 200"));
}

TEST(Server, TheOldestSilentPeerMakesRoom) {
  Limits limits;
  limits.connections = 4;
  Running server(echo, limits);
  std::vector<Client> silent;
  for (int i = 0; i < 20; ++i) silent.emplace_back(server.port());
  Client client(server.port());
  client.send(kGet);
  EXPECT_TRUE(client.answer().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(silent[0].rest(), "");  // hung up on
}

TEST(Server, SlowHeadsAndBodiesAreCut) {
  Limits limits;
  limits.head_timeout_ms = 200;
  limits.silence_timeout_ms = 200;
  Running server(echo, limits);
  Client head(server.port());
  head.send("GET / HT");
  EXPECT_EQ(head.rest(), "");
  Client body(server.port());
  body.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
  EXPECT_TRUE(body.rest().starts_with("HTTP/1.1 413"));  // the handler's answer to a body that broke off
}

TEST(Server, ATrickleIsCut) {
  Limits limits;
  limits.slow_window_ms = 300;
  limits.slowest_rate = 1000;
  Running server(echo, limits);
  Client client(server.port());
  client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
  const pollfd none{client.fd(), POLLIN, 0};
  for (int i = 0; i < 1000; ++i) {
    client.send("x");
    pollfd entry = none;
    if (::poll(&entry, 1, 20) > 0) break;  // an answer: it was cut
  }
  EXPECT_TRUE(client.rest().starts_with("HTTP/1.1 413"));
}

TEST(Server, AHangUpFiresTheRequestsCancel) {
  std::atomic<bool> begun = false;
  std::atomic<bool> fired = false;
  Limits limits;
  limits.half_closed_ms = 100;
  Running server(
      [&](Request& request, Answer&) {
        const Cancel cancel = request.cancel();
        begun = true;
        fired = cancel.wait_for(60'000);
      },
      limits);
  Client client(server.port());
  client.send(kGet);
  while (!begun) std::this_thread::yield();
  client.hang_up();
  while (!fired) std::this_thread::yield();
  EXPECT_TRUE(server.stop());
}

TEST(Server, StoppingLetsRunningRequestsEnd) {
  std::atomic<bool> begun = false;
  Running server([&](Request& request, Answer& answer) {
    begun = true;
    (void)answer.send(200, request.read_all(100).value_or("broken"));
  });
  Client idle(server.port());
  idle.send(kGet);
  idle.answer();
  begun = false;
  Client client(server.port());
  client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nfir");
  while (!begun) std::this_thread::yield();
  server.ask_to_stop();
  EXPECT_EQ(idle.rest(), "");  // closed at once
  client.send("st!");
  const std::string answer = client.rest();
  EXPECT_TRUE(answer.contains("Connection: close")) << answer;
  EXPECT_TRUE(answer.ends_with("first!")) << answer;
  EXPECT_TRUE(server.stop());
  EXPECT_FALSE(Client(server.port()).connected());
}

TEST(Server, AfterTheGraceRequestsAreCut) {
  Limits limits;
  limits.grace_ms = 100;
  std::atomic<bool> begun = false;
  Running server(
      [&](Request& request, Answer& answer) {
        begun = true;
        const auto body = request.read_all(100);
        EXPECT_EQ(body.error().code(), Code::kCancelled);
        (void)answer.send(503, "ends");
      },
      limits);
  Client client(server.port());
  client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nfir");
  while (!begun) std::this_thread::yield();
  EXPECT_TRUE(server.stop());
}

TEST(Server, WhatIsLogged) {
  Running server([](Request& request, Answer& answer) {
    request.set_user("alice");
    (void)request.read_all(100);
    (void)answer.send(201, "four");
  });
  Client client(server.port());
  client.send("PUT /x?y HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  client.rest();
  server.stop();
  const auto served = server.served();
  ASSERT_EQ(served.size(), 1U);
  EXPECT_EQ(served[0].peer, "127.0.0.1");
  EXPECT_EQ(served[0].user, "alice");
  EXPECT_EQ(served[0].method, "PUT");
  EXPECT_EQ(served[0].target, "/x?y");
  EXPECT_EQ(served[0].status, 201);
  EXPECT_EQ(served[0].received, 2);
  EXPECT_EQ(served[0].sent, 4);
  EXPECT_TRUE(served[0].whole);
}

TEST(Address, Parsed) {
  EXPECT_EQ(Address::parse("127.0.0.1:5000")->port(), 5000);
  EXPECT_TRUE(Address::parse("127.8.9.10:1")->loopback());
  EXPECT_TRUE(Address::parse("[::1]:1")->loopback());
  EXPECT_TRUE(Address::parse("localhost:1")->loopback());
  EXPECT_FALSE(Address::parse(":5000")->loopback());
  EXPECT_FALSE(Address::parse("0.0.0.0:5000")->loopback());
  EXPECT_FALSE(Address::parse("127.0.0.1.example.com:5000")->loopback());
  EXPECT_FALSE(Address::parse("127.x.y.z:5000")->loopback());
  EXPECT_EQ(Address::parse("[::1]:5000")->text(), "[::1]:5000");
  for (const char* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "h:65536", "h:-1", "::1:5000", "[]:5000",
                           "a b:1", "http://x:1", "h:000080"})
    EXPECT_FALSE(Address::parse(text)) << text;
}

}  // namespace
}  // namespace slipway::httpd
