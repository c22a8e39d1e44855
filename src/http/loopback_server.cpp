#include "http/loopback_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/synced.hpp"
#include "base/text.hpp"
#include "sys/fd.hpp"

namespace slipway::http::testing {
namespace {

/// Bytes that came and were not used yet.
class Input {
 public:
  explicit Input(int fd) : fd_(fd) {}
  /// Whether a method's first letter comes; a TLS hello does not look so.
  bool speaks_http() { return (!buffer_.empty() || more()) && buffer_[0] >= 'A' && buffer_[0] <= 'Z'; }
  /// Up to and with `end`; false when the peer is gone first.
  bool until(std::string_view end, std::string& out) {
    std::size_t at;
    while ((at = buffer_.find(end)) == std::string::npos)
      if (!more()) return false;
    out = buffer_.substr(0, at + end.size());
    buffer_.erase(0, at + end.size());
    return true;
  }
  bool exactly(std::size_t size, std::string& out) {
    while (buffer_.size() < size)
      if (!more()) return false;
    out += buffer_.substr(0, size);
    buffer_.erase(0, size);
    return true;
  }

 private:
  bool more() {
    char piece[16384];
    const ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
    if (got <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(got));
    return true;
  }
  int fd_;
  std::string buffer_;
};

bool read_chunked(Input& input, std::string& body) {
  while (true) {
    std::string line;
    if (!input.until("\r\n", line)) return false;
    const std::size_t size = std::strtoul(line.c_str(), nullptr, 16);
    std::string end;
    if (!input.exactly(size, body) || !input.exactly(2, end)) return false;
    if (size == 0) return true;
  }
}

/// `whole`: whether the body was read to its end.
bool read_request(Input& input, Received& request, const Appetite& appetite, bool& whole) {
  std::string head;
  if (!input.speaks_http() || !input.until("\r\n\r\n", head)) return false;
  const auto lines = split(head, '\n');
  const auto words = split(trim(lines[0]), ' ');
  if (words.size() < 2) return false;
  request.method = words[0];
  request.target = words[1];
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto colon = lines[i].find(':');
    if (colon == std::string_view::npos) continue;
    request.headers.add(std::string(trim(lines[i].substr(0, colon))), std::string(trim(lines[i].substr(colon + 1))));
  }
  if (request.headers.find("transfer-encoding")) return read_chunked(input, request.body);
  const auto header = request.headers.find("content-length");
  std::size_t length = header ? std::strtoul(header->c_str(), nullptr, 10) : 0;
  if (appetite) {
    if (const auto most = appetite(request); most && *most < length) {
      length = *most;
      whole = false;
    }
  }
  return input.exactly(length, request.body);
}

/// Ends our side and drops what still comes: closing with bytes unread would reset the connection, and the reset may
/// overtake the answer.
void end_in_order(int fd) {
  ::shutdown(fd, SHUT_WR);
  char piece[16384];
  while (::recv(fd, piece, sizeof piece, 0) > 0) continue;
}

}  // namespace

bool Connection::send(std::string_view raw) {
  while (!raw.empty()) {
    const ssize_t sent = ::send(fd_, raw.data(), raw.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    raw.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void Connection::reply(int status, const std::vector<Header>& headers, std::string_view body) {
  std::string text = fmt::format("HTTP/1.1 {} Status\r\n", status);
  for (const auto& header : headers) text += header.name + ": " + header.value + "\r\n";
  text += fmt::format("Content-Length: {}\r\n\r\n", body.size());
  text += body;
  send(text);
}

void Connection::wait_for_hang_up() {
  pollfd entry{fd_, POLLRDHUP, 0};
  ::poll(&entry, 1, 60'000);
  open_ = false;
}

void Connection::reset() {
  const linger hard{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  open_ = orderly_ = false;
}

struct LoopbackServer::State {
  Handler handler;
  Appetite appetite;
  sys::Fd listener;
  int port = 0;
  struct Peers {
    bool stopping = false;
    std::vector<int> open;
    std::vector<std::jthread> threads;
  };
  Synced<Peers> peers;
  Synced<std::vector<Received>> received;
  std::jthread acceptor;

  void listen() {
    listener = sys::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener.get(), 64) != 0 ||
        ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      std::abort();
    port = ntohs(address.sin_port);
  }

  void accept_all() {
    for (int number = 1;; ++number) {
      sys::Fd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      auto held = peers.lock();
      if (held->stopping) return;
      held->open.push_back(peer.get());
      held->threads.emplace_back([this, number, fd = std::move(peer)]() mutable { serve(std::move(fd), number); });
    }
  }

  void serve(sys::Fd fd, int number) {
    Input input(fd.get());
    Connection connection(fd.get(), number);
    bool whole = true;
    while (connection.open()) {
      Received request;
      request.connection = number;
      if (!read_request(input, request, appetite, whole)) break;
      received.lock()->push_back(request);
      handler(request, connection);
    }
    if (!whole && connection.orderly()) end_in_order(fd.get());
    auto held = peers.lock();
    std::erase(held->open, fd.get());
    fd.reset();
  }
};

LoopbackServer::LoopbackServer(Handler handler, Appetite appetite) : state_(std::make_unique<State>()) {
  state_->handler = std::move(handler);
  state_->appetite = std::move(appetite);
  state_->listen();
  state_->acceptor = std::jthread([state = state_.get()] { state->accept_all(); });
}

LoopbackServer::~LoopbackServer() {
  std::vector<std::jthread> threads;
  {
    auto held = state_->peers.lock();
    held->stopping = true;
    for (const int fd : held->open) ::shutdown(fd, SHUT_RDWR);
    ::shutdown(state_->listener.get(), SHUT_RDWR);
  }
  state_->acceptor.join();
  threads = std::move(state_->peers.lock()->threads);
  threads.clear();  // joins
}

int LoopbackServer::port() const { return state_->port; }
std::string LoopbackServer::authority() const { return fmt::format("127.0.0.1:{}", state_->port); }
Url LoopbackServer::url(std::string_view target) const {
  return Url::parse("http://" + authority() + std::string(target)).value();
}
std::vector<Received> LoopbackServer::received() const { return *state_->received.lock(); }

}  // namespace slipway::http::testing
