#include "ssh/forwarder.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <list>
#include <thread>

#include "base/text.hpp"
#include "ssh/frame.hpp"
#include "ssh/wire.hpp"

namespace slipway::ssh {
namespace {

/// Waits until `socket` can be read (or written). Fails once cancelled.
Status ready(int socket, short events, const Cancel& cancel) {
  while (true) {
    pollfd entries[] = {{socket, events, 0}, {cancel.fd(), POLLIN, 0}};
    if (poll(entries, 2, -1) < 0 && errno != EINTR) return fail_errno("cannot wait for an ssh agent's socket");
    TRY(cancel.check());
    if (entries[0].revents != 0) return {};
  }
}

/// How much of `size` bytes came before the end of the stream.
Result<std::size_t> read_up_to(int socket, char* bytes, std::size_t size, const Cancel& cancel) {
  std::size_t done = 0;
  while (done < size) {
    TRY(ready(socket, POLLIN, cancel));
    const ssize_t got = recv(socket, bytes + done, size - done, MSG_DONTWAIT);
    if (got == 0) break;
    if (got < 0 && errno != EAGAIN && errno != EINTR) return fail_errno("cannot read from an ssh agent's socket");
    if (got > 0) done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace

Status send_frame(int socket, std::string_view message, const Cancel& cancel) {
  const std::string bytes = WireWriter().string(message).take();
  for (std::size_t done = 0; done < bytes.size();) {
    TRY(ready(socket, POLLOUT, cancel));
    const ssize_t put = send(socket, bytes.data() + done, bytes.size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN && errno != EINTR) return fail_errno("cannot write to an ssh agent's socket");
    if (put > 0) done += static_cast<std::size_t>(put);
  }
  return {};
}

Result<std::optional<std::string>> receive_frame(int socket, const Cancel& cancel) {
  char head[4];
  const std::size_t got = TRY(read_up_to(socket, head, sizeof head, cancel));
  if (got == 0) return std::nullopt;
  const std::uint32_t size = WireReader({head, got}).number();
  if (got < sizeof head || size == 0 || size > kMessageLimit)
    return fail(Code::kInvalidArgument, "an ssh agent's message has a length that none may have");
  std::string message(size, '\0');
  if (TRY(read_up_to(socket, message.data(), size, cancel)) != size)
    return fail(Code::kInvalidArgument, "an ssh agent's message is cut off");
  return message;
}

struct Forwarder::State {
  State(sys::Fd socket, std::shared_ptr<const Agent> whom) : listener(std::move(socket)), agent(std::move(whom)) {}

  struct Connection {
    std::atomic<bool> ended = false;
    std::jthread thread;
  };

  sys::Fd listener;
  std::shared_ptr<const Agent> agent;
  CancelSource stop;
  std::list<Connection> connections;  ///< of the accepting thread
  std::jthread acceptor;

  void converse(const sys::Fd& socket) const {
    const Cancel cancel = stop.cancel();
    while (true) {
      const auto message = receive_frame(socket.get(), cancel);
      if (!message || !*message) return;
      const auto request = parse_request(**message);
      if (!send_frame(socket.get(), request ? agent->answer(*request, cancel) : failure(), cancel)) return;
    }
  }

  void accept_all() {
    const Cancel cancel = stop.cancel();
    while (true) {
      std::erase_if(connections, [](const Connection& one) { return one.ended.load(); });
      if (connections.size() >= kConnections) {
        if (cancel.wait_for(20)) return;
        continue;
      }
      if (!ready(listener.get(), POLLIN, cancel)) return;
      sys::Fd socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!socket) {  // gone again, or no descriptor is free
        if (cancel.wait_for(20)) return;
        continue;
      }
      Connection& connection = connections.emplace_back();
      connection.thread = std::jthread([this, &connection, mine = std::move(socket)] {
        converse(mine);
        connection.ended = true;
      });
    }
  }
};

Forwarder::Forwarder(sys::Fd listener, std::shared_ptr<const Agent> agent)
    : state_(std::make_unique<State>(std::move(listener), std::move(agent))) {
  (void)fcntl(state_->listener.get(), F_SETFL, O_NONBLOCK);
  state_->acceptor = std::jthread([state = state_.get()] { state->accept_all(); });
}

Forwarder::~Forwarder() {
  state_->stop.fire("the step ended");
  state_->acceptor.join();
  state_->connections.clear();  // joins
}

Result<sys::Fd> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::kFailedPrecondition, "the path {} is longer than the kernel takes for a socket",
                quoted(path, 300));
  std::copy(path.begin(), path.end(), address.sun_path);
  sys::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Before it listens nobody can connect, so the mode comes in time.
  if (!socket || bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      chmod(path.c_str(), 0600) < 0 || listen(socket.get(), SOMAXCONN) < 0)
    return fail_errno("cannot listen at {}", quoted(path, 300));
  return socket;
}

}  // namespace slipway::ssh
