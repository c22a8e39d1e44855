#include "http/client.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/time.hpp"
#include "http/loopback_server.hpp"
#include "sys/fd.hpp"

namespace slipway::http {
namespace {

using testing::Connection;
using testing::LoopbackServer;
using testing::Received;

Client make_client(ClientOptions options = {}) {
  options.user_agent = "test/1";
  return Client(std::move(options));
}

/// The outcome with the whole body.
struct Got {
  Outcome outcome;
  std::string body;
};
Got get(const Client& client, const Request& request, const Cancel& cancel = {}) {
  Got got{std::unexpected(Failure{Trouble::kOther, Error(Code::kInternal, "")}), ""};
  got.outcome = client.send(request, {.body = [&](std::string_view bytes) -> Status {
                              got.body += bytes;
                              return {};
                            }},
                            cancel);
  return got;
}

TEST(Client, GivesStatusHeadersAndBody) {
  const LoopbackServer server(
      [](const Received&, Connection& peer) { peer.reply(404, {{"X-Thing", "one"}, {"x-thing", "two"}}, "not here"); });
  const auto got = get(make_client(), {.url = server.url("/v2/x?y=1"), .headers = {{"Accept", "a/b"}}});
  ASSERT_TRUE(got.outcome) << got.outcome.error().error.message();
  EXPECT_EQ(got.outcome->status, 404);
  EXPECT_EQ(got.outcome->headers.find("X-THING"), "one");
  EXPECT_EQ(got.outcome->headers.all("X-Thing").size(), 2U);
  EXPECT_EQ(got.outcome->headers.find("absent"), std::nullopt);
  EXPECT_EQ(got.body, "not here");
  const auto request = server.received().at(0);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/v2/x?y=1");
  EXPECT_EQ(request.headers.find("accept"), "a/b");
  EXPECT_EQ(request.headers.find("user-agent"), "test/1");
}

TEST(LoopbackServer, ResetsNobodyWhoIsStillSending) {
  const LoopbackServer server(
      [](const Received&, Connection& peer) {
        peer.reply(401, {{"Connection", "close"}}, "who?");
        peer.close();
      },
      [](const Received&) { return 1; });
  const sys::Fd peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(server.port()));
  ASSERT_EQ(::connect(peer.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  constexpr int kPieces = 64;  // of 1 MiB: more than the kernel holds
  const std::string piece(1 << 20, 'x');
  Connection client(peer.get(), 0);
  ASSERT_TRUE(client.send(fmt::format("PUT / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", kPieces * piece.size())));
  for (int i = 0; i < kPieces; ++i) ASSERT_TRUE(client.send(piece)) << "MiB " << i;
  char answer[64];
  const ssize_t got = ::recv(peer.get(), answer, sizeof answer, 0);
  ASSERT_GT(got, 0);
  EXPECT_TRUE(std::string_view(answer, static_cast<std::size_t>(got)).starts_with("HTTP/1.1 401 "));
}

TEST(Client, KeepsConnections) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.reply(200, {}, "x"); });
  const Client client = make_client();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(get(client, {.url = server.url("/")}).outcome);
  EXPECT_EQ(server.received().back().connection, 1);
}

TEST(Client, AsksAgainWhenTheKeptConnectionWasDead) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    peer.reply(200, {}, request.body);
    peer.close();
  });
  const Client client = make_client();
  for (int i = 0; i < 3; ++i) {
    const auto got = get(client, {.method = "PUT", .url = server.url("/"), .body = Body::of("again")});
    ASSERT_TRUE(got.outcome) << got.outcome.error().error.message();
    EXPECT_EQ(got.body, "again");
  }
}

TEST(Client, SendsBodiesOfKnownAndUnknownLength) {
  const LoopbackServer server([](const Received& request, Connection& peer) { peer.reply(201, {}, request.body); });
  const Client client = make_client();
  auto got =
      get(client,
          {.method = "PUT", .url = server.url("/"), .headers = {{"Content-Type", "a/b"}}, .body = Body::of("known")});
  EXPECT_EQ(got.body, "known");
  EXPECT_EQ(server.received().at(0).method, "PUT");
  EXPECT_EQ(server.received().at(0).headers.find("content-length"), "5");
  EXPECT_EQ(server.received().at(0).headers.find("content-type"), "a/b");
  EXPECT_EQ(server.received().at(0).headers.find("expect"), std::nullopt);
  Body chunked = Body::of(std::string(1'000'000, 'c'));
  chunked.size.reset();
  got = get(client, {.method = "PATCH", .url = server.url("/"), .body = chunked});
  EXPECT_EQ(got.body.size(), 1'000'000U);
  EXPECT_EQ(server.received().at(1).method, "PATCH");
  got = get(client, {.method = "POST", .url = server.url("/"), .body = Body::of("")});
  EXPECT_EQ(server.received().at(2).headers.find("content-length"), "0");
  EXPECT_EQ(server.received().at(2).headers.find("content-type"), std::nullopt);
}

TEST(Client, FollowsNoRedirectAndAnswersNoChallenge) {
  const LoopbackServer server([](const Received&, Connection& peer) {
    peer.reply(307, {{"Location", "/elsewhere"}, {"WWW-Authenticate", "Basic realm=x"}}, "");
  });
  const auto got = get(make_client(), {.url = server.url("/")});
  ASSERT_TRUE(got.outcome);
  EXPECT_EQ(got.outcome->status, 307);
  EXPECT_EQ(server.received().size(), 1U);
}

TEST(Client, RefusesHeaderLinesWithBreaks) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.reply(200, {}, ""); });
  const auto got = get(make_client(), {.url = server.url("/"), .headers = {{"Authorization", "x\r\nEvil: yes"}}});
  EXPECT_FALSE(got.outcome);
  EXPECT_TRUE(server.received().empty());
}

TEST(Client, HeadersAreLimited) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/many") {
      peer.send("HTTP/1.1 200 OK\r\n");
      while (peer.send("X-Header: " + std::string(1000, 'x') + "\r\n")) {}
    } else if (request.target == "/long") {
      peer.send("HTTP/1.1 200 OK\r\nX: ");
      while (peer.send(std::string(1000, 'x'))) {}
    } else {
      while (peer.send("HTTP/1.1 100 Continue\r\n\r\n")) {}
    }
    peer.close();
  });
  for (const auto* target : {"/many", "/long", "/continue"}) {
    const auto got = get(make_client(), {.url = server.url(target)});
    ASSERT_FALSE(got.outcome) << target;
    EXPECT_EQ(got.outcome.error().trouble, Trouble::kProtocol) << target << got.outcome.error().error.message();
  }
}

TEST(Client, HeadersThatWereCutAreNoAnswer) {
  for (const std::string raw :
       {"HTTP/1.1 202 X\r\n", "HTTP/1.1 202 X\r\nLocation: /half", "HTTP/1.1 202 X\r\nLocation: /x\r\n",
        "HTTP/1.1 100 X\r\n\r\n", "HTTP/1.1 100 X\r\n\r\nHTTP/1.1 404 X\r\n"}) {
    const LoopbackServer server([&](const Received&, Connection& peer) {
      peer.send(raw);
      peer.close();
    });
    const auto got = get(make_client(), {.url = server.url("/")});
    ASSERT_FALSE(got.outcome) << raw;
    EXPECT_EQ(got.outcome.error().trouble, Trouble::kBroken) << got.outcome.error().error.message();
  }
}

TEST(Client, TheReadersErrorComesBack) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.reply(200, {}, "body"); });
  const auto by_body =
      make_client().send({.url = server.url("/")},
                         {.body = [](std::string_view) -> Status { return fail(Code::kOutOfRange, "enough"); }}, {});
  ASSERT_FALSE(by_body);
  EXPECT_EQ(by_body.error().trouble, Trouble::kReader);
  EXPECT_EQ(by_body.error().error.what(), "enough");
  const auto by_head = make_client().send(
      {.url = server.url("/")},
      {.head = [](const Response& head) -> Status { return fail(Code::kOutOfRange, "status {}", head.status); }}, {});
  ASSERT_FALSE(by_head);
  EXPECT_EQ(by_head.error().error.what(), "status 200");
}

TEST(Client, HeadIsGivenOnceAlsoWithoutBody) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.send("HTTP/1.1 204 No\r\nA: b\r\n\r\n"); });
  int heads = 0;
  const auto outcome = make_client().send({.url = server.url("/")}, {.head = [&](const Response& head) -> Status {
                                            ++heads;
                                            EXPECT_EQ(head.status, 204);
                                            EXPECT_EQ(head.headers.find("a"), "b");
                                            return {};
                                          }},
                                          {});
  EXPECT_TRUE(outcome);
  EXPECT_EQ(heads, 1);
}

TEST(Client, TellsTroublesApart) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/short") peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    if (request.target == "/silent") peer.wait_for_hang_up();
    if (request.target == "/garbage") peer.send("\x16\x03\x01 what\r\n\r\n");
    peer.close();
  });
  const Client client = make_client({.silence_timeout_ms = 200});
  const auto trouble = [&](const Url& url) { return get(client, {.url = url}).outcome.error().trouble; };
  EXPECT_EQ(trouble(server.url("/short")), Trouble::kBroken);
  EXPECT_EQ(trouble(server.url("/nothing")), Trouble::kBroken);
  EXPECT_EQ(trouble(server.url("/silent")), Trouble::kTimeout);
  EXPECT_EQ(trouble(server.url("/garbage")), Trouble::kProtocol);
  EXPECT_EQ(trouble(Url::parse("https://" + server.authority() + "/x").value()), Trouble::kNotTls);
  EXPECT_EQ(trouble(Url::parse("http://127.0.0.1:1/").value()), Trouble::kConnect);
  // The second has the handle of the first.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(trouble(Url::parse("https://127.0.0.1:1/").value()), Trouble::kConnect);
}

TEST(Client, TellsWhoDoesNotSpeakTls) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.reply(200, {}, ""); });
  EXPECT_FALSE(make_client().speaks_tls(Url::parse("https://" + server.authority() + "/").value(), {}).value());
  const auto nobody = make_client().speaks_tls(Url::parse("https://127.0.0.1:1/").value(), {});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().trouble, Trouble::kConnect);
  EXPECT_TRUE(server.received().empty());
}

TEST(Client, RootsThatCanNotBeReadAreNamed) {
  const auto got =
      get(make_client({.ca_file = "/nonexistent/roots.pem"}), {.url = Url::parse("https://127.0.0.1:1/").value()});
  ASSERT_FALSE(got.outcome);
  EXPECT_EQ(got.outcome.error().trouble, Trouble::kCertificate);
  EXPECT_EQ(got.outcome.error().error.what(), "cannot read root certificates from /nonexistent/roots.pem");
}

TEST(Client, CancelEndsAWaitingTransferAtOnce) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.wait_for_hang_up(); });
  CancelSource source;
  std::jthread firing([&] {
    while (server.received().empty()) (void)Cancel().wait_for(1);
    source.fire("stopped by the test");
  });
  const auto got = get(make_client(), {.url = server.url("/")}, source.cancel());
  ASSERT_FALSE(got.outcome);
  EXPECT_EQ(got.outcome.error().trouble, Trouble::kCancelled);
  EXPECT_EQ(got.outcome.error().error.code(), Code::kCancelled);
}

// --- peers that are as good as dead

/// Sends `line` again and again until the peer is gone.
void trickle(Connection& peer, std::string_view line) {
  while (peer.send(line)) (void)Cancel().wait_for(5);
  peer.close();
}

void expect_timeout(const Outcome& outcome, std::string_view why) {
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().trouble, Trouble::kTimeout) << outcome.error().error.message();
  EXPECT_NE(outcome.error().error.message().find(why), std::string::npos) << outcome.error().error.message();
}

TEST(DeadPeers, SilenceBeforeTheAnswer) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.wait_for_hang_up(); });
  expect_timeout(get(make_client({.silence_timeout_ms = 50}), {.url = server.url("/")}).outcome, "no byte moved");
}

TEST(DeadPeers, HeadersThatTrickleAreSilence) {
  for (const std::string begin : {"HTTP/1.1 200 X\r\n", "HTTP/1.1 100 Continue\r\n\r\n"}) {
    const LoopbackServer server([&](const Received&, Connection& peer) {
      if (begin.find("100") == std::string::npos) peer.send(begin);
      trickle(peer, begin.find("100") == std::string::npos ? "X: y\r\n" : begin);
    });
    expect_timeout(get(make_client({.silence_timeout_ms = 200}), {.url = server.url("/")}).outcome, "no byte moved");
  }
}

TEST(DeadPeers, BodiesThatTrickle) {
  const LoopbackServer server([](const Received&, Connection& peer) {
    peer.send("HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n");
    trickle(peer, "x");
  });
  const auto got = get(make_client({.slowest_bytes = 100'000, .slow_window_ms = 200}), {.url = server.url("/")});
  expect_timeout(got.outcome, "bytes moved in 0.2 s");
  EXPECT_FALSE(got.body.empty());
}

TEST(DeadPeers, UploadsThatAreNotTaken) {
  // A listener whose backlog takes the connection and reads nothing: what waits in our socket has not moved.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  Request request{.method = "PUT",
                  .url = Url::parse(fmt::format("http://127.0.0.1:{}/", ntohs(address.sin_port))).value()};
  request.body = Body::of(std::string(64 << 20, 'x'));
  expect_timeout(get(make_client({.slowest_bytes = 1024, .slow_window_ms = 200}), request).outcome,
                 "bytes moved in 0.2 s");
  ::close(listener);
}

TEST(DeadPeers, TheReadersOwnTimeIsNotTheirs) {
  const LoopbackServer server([](const Received&, Connection& peer) {
    peer.send("HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\na");
    (void)Cancel().wait_for(20);
    peer.send("bc");
  });
  const Client client(ClientOptions{.silence_timeout_ms = 300, .slowest_bytes = 1, .slow_window_ms = 300});
  std::string body;
  const auto outcome = client.send({.url = server.url("/")}, {.body = [&](std::string_view bytes) -> Status {
                                     (void)Cancel().wait_for(700);  // a slow disk
                                     body += bytes;
                                     return {};
                                   }},
                                   {});
  ASSERT_TRUE(outcome) << outcome.error().error.message();
  EXPECT_EQ(body, "abc");
}

TEST(DeadPeers, TheReaderMayLosePatience) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.wait_for_hang_up(); });
  const auto outcome = make_client().send({.url = server.url("/")}, {.idle = [&]() -> Status {
                                            if (server.received().empty()) return {};
                                            return fail(Code::kDeadlineExceeded, "enough");
                                          }},
                                          {});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().trouble, Trouble::kReader);
  EXPECT_EQ(outcome.error().error.message(), "enough");
}

TEST(Client, ALoneRequestHasItsConnectionForItself) {
  const LoopbackServer server([](const Received&, Connection& peer) { peer.reply(200, {}, "x"); });
  const Client client = make_client();
  ASSERT_TRUE(get(client, {.url = server.url("/")}).outcome);
  ASSERT_TRUE(get(client, {.url = server.url("/"), .lone = true}).outcome);
  ASSERT_TRUE(get(client, {.url = server.url("/"), .lone = true}).outcome);
  ASSERT_TRUE(get(client, {.url = server.url("/")}).outcome);
  const auto received = server.received();
  EXPECT_EQ(received[0].connection, 1);
  EXPECT_EQ(received[1].connection, 2);
  EXPECT_EQ(received[2].connection, 3);
}

TEST(Client, ServesManyThreads) {
  const LoopbackServer server([](const Received& request, Connection& peer) { peer.reply(200, {}, request.target); });
  const Client client = make_client();
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 20; ++i) {
        const std::string target = fmt::format("/{}/{}", thread, i);
        EXPECT_EQ(get(client, {.url = server.url(target)}).body, target);
      }
    });
  }
}

}  // namespace
}  // namespace slipway::http
