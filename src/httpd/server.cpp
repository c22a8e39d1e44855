#include "httpd/server.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>

#include "base/synced.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "httpd/connection.hpp"
#include "httpd/exchange.hpp"
#include "httpd/workers.hpp"

namespace slipway::httpd {
namespace {

constexpr int kBacklog = 1024;
constexpr int kTickMs = 500;     ///< how often deadlines are looked at
constexpr int kLingerMs = 3000;  ///< how long what a refused peer still sends is dropped
constexpr std::size_t kLingerBytes = 16 << 20;
constexpr std::size_t kHeadStep = 16 * 1024;  ///< a whole TLS record: epoll does not see what OpenSSL still holds
constexpr int kEmptyLines = 4;                ///< before a request
constexpr int kSlowMs = 1000;                 ///< who was waited for so long may have to make room
constexpr int kSpareDescriptors = 256;        ///< for files, the store, outgoing connections

struct Listener {
  sys::Fd fd;
  std::string url;
  int port = 0;
};

/// A connection in the poller's books.
struct Peer {
  enum class State : unsigned char {
    kHandshake,
    kHead,    ///< between requests, or in the middle of a head
    kActive,  ///< a worker has it
    kLinger,  ///< answered for the last time
  };
  explicit Peer(Connection of) : connection(std::move(of)) {}
  Connection connection;
  State state = State::kHead;
  std::string inbox;
  std::int64_t since = 0;  ///< monotonic: begin of the state, of the head's first byte, or of the last request's end
  std::size_t searched = 0;
  int empty_lines = 0;           ///< that were skipped before this head
  std::int64_t half_closed = 0;  ///< since when it sends no more while a handler looks; 0: not known to
  std::size_t dropped = 0;
  Synced<std::optional<CancelSource>> hang_up;  ///< made when a handler asks for it
  Exchange::After after = Exchange::After::kCut;
};

std::string text_of(const sockaddr_storage& address, bool with_port) {
  char host[NI_MAXHOST] = "?";
  char port[NI_MAXSERV] = "0";
  (void)::getnameinfo(reinterpret_cast<const sockaddr*>(&address), sizeof address, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
  std::string name = host;
  if (name.starts_with("::ffff:") && name.contains('.')) name = name.substr(7);
  if (!with_port) return name;
  return name.contains(':') ? fmt::format("[{}]:{}", name, port) : fmt::format("{}:{}", name, port);
}

Result<Listener> bind_to(const addrinfo& info, const Address& address, bool tls) {
  sys::Fd fd(::socket(info.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("cannot make a socket");
  const int on = 1;
  const int off = 0;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (info.ai_family == AF_INET6) (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd.get(), info.ai_addr, info.ai_addrlen) < 0 || ::listen(fd.get(), kBacklog) < 0)
    return fail_errno("cannot listen on {}", printable(address.text()));
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) < 0)
    return fail_errno("cannot tell the port");
  const std::string where = text_of(bound, true);
  return Listener{std::move(fd), (tls ? "https://" : "http://") + where,
                  static_cast<int>(parse_size(where.substr(where.rfind(':') + 1)).value_or(0))};
}

Result<Listener> listen_on(const Address& address, bool tls) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(address.port());
  const int failed =
      ::getaddrinfo(address.host().empty() ? nullptr : address.host().c_str(), port.c_str(), &hints, &list);
  if (failed != 0)
    return fail(Code::kInvalidArgument, "cannot listen on {}: {}", printable(address.text()), ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> held(list, &::freeaddrinfo);
  // All addresses: the IPv6 socket takes IPv4 too, where the machine has IPv6.
  std::vector<const addrinfo*> choices;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) choices.push_back(at);
  if (address.host().empty())
    std::ranges::stable_sort(choices, {}, [](const addrinfo* at) { return at->ai_family == AF_INET6 ? 0 : 1; });
  Result<Listener> bound = fail(Code::kUnavailable, "cannot listen on {}: no address", printable(address.text()));
  for (const addrinfo* at : choices) {
    bound = bind_to(*at, address, tls);
    if (bound) break;
  }
  return bound;
}

/// As many connections as descriptors allow; the soft limit is raised to the hard one.
struct Room {
  int connections, requests;
};
Room room_for(const Limits& wanted) {
  const Room whole{wanted.connections, wanted.requests};
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return whole;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  const int per_request = 3;  // the blob, what tells of a hang-up, a lock
  if (limit.rlim_cur >= static_cast<rlim_t>(std::int64_t{wanted.connections} +
                                            std::int64_t{per_request} * wanted.requests + kSpareDescriptors))
    return whole;
  const int left = std::max(64, static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20)) - kSpareDescriptors);
  return {std::min(wanted.connections, left / 2), std::min(wanted.requests, std::max(16, left / 2 / per_request))};
}

}  // namespace

struct Server::State {
  Options options;
  std::unique_ptr<Certificate> certificate;
  std::vector<Listener> listeners;
};

namespace {

/// The poller of one run().
class Poller {
 public:
  Poller(Options& options, Certificate* certificate, std::vector<Listener>& listeners, const Handler& handler,
         const Cancel& cancel)
      : options_(options),
        certificate_(certificate),
        listeners_(listeners),
        handler_(handler),
        cancel_(cancel),
        room_(room_for(options.limits)),
        workers_(static_cast<std::size_t>(room_.requests)) {}

  Status run();

 private:
  Status prepare();
  Status watch(int fd, std::uint32_t events);
  void rearm(Peer& peer, std::uint32_t events);
  void accept(int listener);
  void admit(sys::Fd fd, std::string name);
  bool make_room();
  void advance(Peer& peer);
  void read_head(Peer& peer);
  void serve(Peer& peer);
  void take_back();
  void returned(Peer& peer);
  void linger(Peer& peer);
  void close(Peer& peer) { peers_.erase(peer.connection.fd()); }
  void hung_up(Peer& peer, std::uint32_t events);
  bool skip_empty_lines(Peer& peer);
  void make_workers_free();
  void look_at_deadlines();
  [[nodiscard]] std::int64_t patience(const Peer& peer) const;
  void begin_to_stop();
  Cancel watch_hang_up(Peer& peer);

  Options& options_;
  Certificate* certificate_;
  std::vector<Listener>& listeners_;
  const Handler& handler_;
  const Cancel& cancel_;
  const Room room_;
  sys::Fd epoll_, wake_;
  CancelSource cut_;  ///< the grace is over
  std::map<int, std::unique_ptr<Peer>> peers_;
  Synced<std::vector<Peer*>> finished_;
  std::atomic<bool> stopping_ = false;
  std::size_t active_ = 0;
  std::int64_t stop_at_ = 0;
  std::int64_t looked_ = 0;
  std::int64_t accept_again_ = 0;  ///< not 0: out of descriptors; listeners are not watched until then
  Workers workers_;                // last: its threads end before what they use
};

Status Poller::watch(int fd, std::uint32_t events) {
  epoll_event interest{.events = events, .data = {.fd = fd}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &interest) < 0) return fail_errno("cannot watch a descriptor");
  return {};
}

void Poller::rearm(Peer& peer, std::uint32_t events) {
  epoll_event interest{.events = events, .data = {.fd = peer.connection.fd()}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, peer.connection.fd(), &interest);
}

Status Poller::prepare() {
  epoll_ = sys::Fd(::epoll_create1(EPOLL_CLOEXEC));
  wake_ = sys::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_ || !wake_) return fail_errno("cannot prepare to serve");
  TRY(watch(wake_.get(), EPOLLIN));
  if (cancel_.fd() >= 0) TRY(watch(cancel_.fd(), EPOLLIN));
  for (const Listener& listener : listeners_) TRY(watch(listener.fd.get(), EPOLLIN));
  return {};
}

Status Poller::run() {
  TRY(prepare());
  std::array<epoll_event, 256> events;
  while (true) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), kTickMs);
    if (count < 0 && errno != EINTR) return fail_errno("cannot wait for connections");
    if (!stopping_ && cancel_.fired()) begin_to_stop();
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      const auto listener = std::ranges::find(listeners_, fd, [](const Listener& one) { return one.fd.get(); });
      if (fd == wake_.get() || fd == cancel_.fd()) continue;
      if (listener != listeners_.end()) {
        accept(fd);
        continue;
      }
      const auto peer = peers_.find(fd);
      if (peer == peers_.end()) continue;  // closed by an earlier event of this round
      if (peer->second->state == Peer::State::kActive) {
        hung_up(*peer->second, events[static_cast<std::size_t>(i)].events);
      } else {
        advance(*peer->second);
      }
    }
    take_back();
    look_at_deadlines();
    if (stopping_ && active_ == 0 && (peers_.empty() || monotonic_ms() >= stop_at_)) return {};
  }
}

void Poller::accept(int listener) {
  // A few at a time: others want their turn.
  for (int i = 0; i < 64; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    sys::Fd fd(::accept4(listener, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      admit(std::move(fd), text_of(address, false));
      continue;
    }
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
    if (make_room()) continue;
    accept_again_ = monotonic_ms() + 100;
    for (const Listener& one : listeners_) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, one.fd.get(), nullptr);
    return;
  }
}

void Poller::admit(sys::Fd fd, std::string name) {
  if (static_cast<int>(peers_.size()) >= room_.connections && !make_room())
    return;  // all of them are being served: hang up
  const int on = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  const int number = fd.get();
  Ssl ssl;
  if (certificate_ != nullptr) {
    auto made = certificate_->accept(number, options_.trouble);
    if (!made) return;
    ssl = std::move(*made);
  }
  auto peer = std::make_unique<Peer>(
      Connection(std::move(fd), std::move(ssl), std::move(name), options_.limits, cut_.cancel()));
  peer->state = certificate_ != nullptr ? Peer::State::kHandshake : Peer::State::kHead;
  peer->since = monotonic_ms();
  if (!watch(number, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT)) return;
  peers_.insert_or_assign(number, std::move(peer));
}

/// Closes the peer that has been silent longest; false when every one is being served.
bool Poller::make_room() {
  Peer* oldest = nullptr;
  for (const auto& [fd, peer] : peers_) {
    if (peer->state == Peer::State::kActive) continue;
    if (oldest == nullptr || peer->since < oldest->since) oldest = peer.get();
  }
  if (oldest == nullptr) return false;
  close(*oldest);
  return true;
}

void Poller::advance(Peer& peer) {
  if (peer.state == Peer::State::kLinger) {
    linger(peer);
    return;
  }
  if (peer.state == Peer::State::kHandshake && peer.connection.is_plain_http()) peer.state = Peer::State::kHead;
  if (peer.state == Peer::State::kHandshake) {
    switch (peer.connection.handshake()) {
      case Connection::Step::kEnd:
        close(peer);
        return;
      case Connection::Step::kWantRead:
        rearm(peer, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
        return;
      case Connection::Step::kWantWrite:
        rearm(peer, EPOLLOUT | EPOLLRDHUP | EPOLLONESHOT);
        return;
      case Connection::Step::kDone:
        peer.state = Peer::State::kHead;
        peer.since = monotonic_ms();
    }
  }
  read_head(peer);
}

/// An empty line before a request is forgiven (RFC 9112 section 2.2), a few are; more of them are no head.
bool Poller::skip_empty_lines(Peer& peer) {
  std::size_t skipped = 0;
  while (peer.empty_lines < kEmptyLines && std::string_view(peer.inbox).substr(skipped).starts_with("\r\n")) {
    skipped += 2;
    ++peer.empty_lines;
  }
  peer.inbox.erase(0, skipped);
  return !peer.inbox.starts_with("\r\n");
}

/// Collects a head as far as it is there; a whole one goes to a worker. One read, then others have their turn.
void Poller::read_head(Peer& peer) {
  const auto complete = [&] {
    return !skip_empty_lines(peer) || head_end(peer.inbox, peer.searched) != std::string::npos ||
           peer.inbox.size() > options_.limits.head_bytes || !may_be_head(peer.inbox);
  };
  if (complete()) {
    serve(peer);
    return;
  }
  peer.searched = peer.inbox.size();
  const bool fresh = peer.inbox.empty() && peer.empty_lines == 0;
  const auto step = peer.connection.try_read(peer.inbox, kHeadStep);
  if (step == Connection::Step::kEnd) {
    close(peer);
    return;
  }
  if (fresh && !peer.inbox.empty()) peer.since = monotonic_ms();
  if (step == Connection::Step::kDone && complete()) {
    serve(peer);
    return;
  }
  peer.searched = peer.inbox.size();
  rearm(peer, (step == Connection::Step::kWantWrite ? EPOLLOUT : EPOLLIN) | EPOLLRDHUP | EPOLLONESHOT);
}

/// The worker gives the peer back through finished_. Until then the poller only looks whether it hangs up.
void Poller::serve(Peer& peer) {
  peer.state = Peer::State::kActive;
  peer.searched = 0;
  peer.empty_lines = 0;
  peer.connection.begin_request();
  ++active_;
  workers_.add([this, &peer] {
    {
      Exchange exchange(peer.connection, peer.inbox, options_.limits, [&] { return watch_hang_up(peer); });
      peer.after = exchange.run(handler_, [this] { return stopping_.load(); });
      if (options_.served) options_.served(exchange.served());
    }
    finished_.lock()->push_back(&peer);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(wake_.get(), &one, sizeof one);
  });
}

Cancel Poller::watch_hang_up(Peer& peer) {
  auto source = peer.hang_up.lock();
  if (!*source) {
    source->emplace(cut_.cancel());
    rearm(peer, EPOLLRDHUP | EPOLLONESHOT);
  }
  return (*source)->cancel();
}

/// Who only ended its own sending may still read the answer (RFC 9112 section 9.6).
void Poller::hung_up(Peer& peer, std::uint32_t events) {
  auto source = peer.hang_up.lock();
  if (!*source) return;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    (*source)->fire("the client hung up");
    return;
  }
  peer.half_closed = monotonic_ms();
  rearm(peer, EPOLLONESHOT);  // errors and a whole hang-up are told without being asked for
}

/// Requests have waited for a thread: as many of the peers that are slowest just now lose theirs.
void Poller::make_workers_free() {
  const std::size_t wanted = workers_.overdue(options_.limits.queue_ms);
  if (wanted == 0) return;
  std::vector<std::pair<std::int64_t, Peer*>> slow;
  for (const auto& [fd, peer] : peers_) {
    if (peer->state != Peer::State::kActive) continue;
    if (const auto rate = peer->connection.slowness(kSlowMs)) slow.emplace_back(*rate, peer.get());
  }
  std::ranges::sort(slow, {}, [](const auto& one) { return one.first; });
  slow.resize(std::min(slow.size(), wanted));
  for (const auto& [rate, peer] : slow) peer->connection.evict();
}

void Poller::take_back() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto ignored = ::read(wake_.get(), &count, sizeof count);
  for (Peer* peer : std::exchange(*finished_.lock(), {})) returned(*peer);
}

void Poller::returned(Peer& peer) {
  --active_;
  peer.hang_up.lock()->reset();
  peer.half_closed = 0;
  peer.since = monotonic_ms();
  if (peer.after == Exchange::After::kCut) {
    peer.connection.reset_on_close();
    close(peer);
  } else if (peer.after == Exchange::After::kLinger) {
    peer.connection.end_sending();
    peer.state = Peer::State::kLinger;
    linger(peer);
  } else if (stopping_) {
    close(peer);
  } else {
    peer.state = Peer::State::kHead;
    read_head(peer);
  }
}

/// Closing with bytes unread would reset the connection, and the peer might never see the answer.
void Poller::linger(Peer& peer) {
  peer.inbox.clear();
  const auto step = peer.connection.try_read(peer.inbox, kHeadStep);
  peer.dropped += peer.inbox.size();
  if (step == Connection::Step::kEnd || peer.dropped > kLingerBytes) {
    close(peer);
    return;
  }
  rearm(peer, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
}

std::int64_t Poller::patience(const Peer& peer) const {
  const Limits& limits = options_.limits;
  if (peer.state == Peer::State::kLinger) return kLingerMs;
  if (peer.state == Peer::State::kHandshake || !peer.inbox.empty() || peer.empty_lines > 0)
    return limits.head_timeout_ms;
  return limits.idle_timeout_ms;
}

void Poller::look_at_deadlines() {
  const std::int64_t now = monotonic_ms();
  if (stop_at_ != 0 && now >= stop_at_) cut_.fire("the server ends");
  if (accept_again_ != 0 && now >= accept_again_ && !stopping_) {
    accept_again_ = 0;
    for (const Listener& one : listeners_) (void)watch(one.fd.get(), EPOLLIN);
  }
  if (now - looked_ < kTickMs) return;
  looked_ = now;
  make_workers_free();
  std::vector<Peer*> late;
  for (const auto& [fd, peer] : peers_) {
    if (peer->state != Peer::State::kActive && now - peer->since > patience(*peer)) late.push_back(peer.get());
    if (peer->state == Peer::State::kActive && peer->half_closed != 0 &&
        now - std::max(peer->half_closed, peer->connection.moved_at()) > options_.limits.half_closed_ms)
      hung_up(*peer, EPOLLHUP);
  }
  for (Peer* peer : late) close(*peer);
}

void Poller::begin_to_stop() {
  stopping_ = true;
  stop_at_ = monotonic_ms() + options_.limits.grace_ms;
  listeners_.clear();
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, cancel_.fd(), nullptr);  // it stays readable
  std::erase_if(peers_, [](const auto& entry) {
    return entry.second->state == Peer::State::kHead || entry.second->state == Peer::State::kHandshake;
  });
}

}  // namespace

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Result<Server> Server::listen(Options options) {
  auto state = std::make_unique<State>();
  if (options.tls) state->certificate = TRY(Certificate::load(*options.tls));
  for (const Address& address : options.addresses)
    state->listeners.push_back(TRY(listen_on(address, options.tls.has_value())));
  state->options = std::move(options);
  return Server(std::move(state));
}

std::vector<std::string> Server::urls() const {
  std::vector<std::string> urls;
  for (const Listener& listener : state_->listeners) urls.push_back(listener.url);
  return urls;
}

int Server::port() const { return state_->listeners.empty() ? 0 : state_->listeners.front().port; }

int Server::requests() const { return room_for(state_->options.limits).requests; }

Status Server::run(const Handler& handler, const Cancel& cancel) {
  return Poller(state_->options, state_->certificate.get(), state_->listeners, handler, cancel).run();
}

}  // namespace slipway::httpd
