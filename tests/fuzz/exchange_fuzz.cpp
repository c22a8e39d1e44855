// Everything that one client sends on a connection, through a socket: requests behind each other, bodies by length and
// in chunks, with a handler that reads them, reads a part, or does not look. The server answers, keeps its place in the
// bytes and comes to an end.
#include <fcntl.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "httpd/connection.hpp"
#include "httpd/exchange.hpp"

using namespace slipway;

namespace {

const httpd::Limits kLimits{.head_bytes = 4096, .target_bytes = 1024, .silence_timeout_ms = 1000};

/// By the request's first letters, so that an input says what happens to it.
void handle(httpd::Request& request, httpd::Answer& answer) {
  answer.header("X-Target", request.target().path());
  if (request.method() == "PUT") {
    const auto body = request.read_all(1000);
    (void)answer.send(body ? 200 : 400, body.value_or(""));
    return;
  }
  if (request.method() == "PATCH") {
    char piece[7];
    const auto got = request.read(piece, sizeof piece);
    (void)answer.start(got ? 202 : 400, std::nullopt);
    (void)answer.write(std::string_view(piece, got.value_or(0)));
    return;
  }
  (void)answer.send(request.content_length().value_or(0) == 0 ? 204 : 404, "no\n");
}

/// What the server sent, so that its next answer has room.
std::string taken_from(int client) {
  std::string all;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(client, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
    all.append(buffer, static_cast<std::size_t>(got));
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 64 * 1024) return 0;  // what a socket takes without anybody who reads
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) std::abort();
  const sys::Fd client(ends[0]);
  httpd::Connection connection(sys::Fd(ends[1]), {}, "peer", kLimits, {});
  if (::send(client.get(), data, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) std::abort();
  (void)::shutdown(client.get(), SHUT_WR);

  std::string inbox;
  const auto whole = [&] {
    return inbox.size() > kLimits.head_bytes || httpd::head_end(inbox, 0) != std::string::npos;
  };
  std::size_t left = size;  // never more than what is still to come
  while (true) {
    while (!whole() && connection.try_read(inbox, 1024) == httpd::Connection::Step::kDone) continue;
    if (!whole()) return 0;
    httpd::Exchange exchange(connection, inbox, kLimits, [] { return Cancel(); });
    const auto after = exchange.run(&handle, [] { return false; });
    const std::string answer = taken_from(client.get());
    if (!answer.starts_with("HTTP/1.1 ")) std::abort();
    if (exchange.served().received < 0 || static_cast<std::size_t>(exchange.served().received) > left) std::abort();
    if (after != httpd::Exchange::After::kKeep) return 0;
    if (!exchange.served().whole || inbox.size() >= left) std::abort();
    left -= static_cast<std::size_t>(exchange.served().received) + 1;
  }
}
