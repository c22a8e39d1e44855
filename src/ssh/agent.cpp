#include "ssh/agent.hpp"

#include <openssl/crypto.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "ssh/frame.hpp"
#include "ssh/wire.hpp"
#include "sys/file.hpp"

namespace slipway::ssh {
namespace {

// draft-ietf-sshm-ssh-agent section 6.1.
constexpr std::uint8_t kFailure = 5, kListRequest = 11, kListAnswer = 12, kSignRequest = 13, kSignAnswer = 14;
constexpr std::uint32_t kKnownFlags = 2 | 4;  // SSH_AGENT_RSA_SHA2_256, SSH_AGENT_RSA_SHA2_512

class KeyAgent final : public Agent {
 public:
  explicit KeyAgent(std::vector<PrivateKey> keys) : keys_(std::move(keys)) {}

  std::string answer(const Request& request, const Cancel&) const override {
    if (request.kind == Request::Kind::kList) {
      WireWriter out;
      out.byte(kListAnswer).number(static_cast<std::uint32_t>(keys_.size()));
      for (const auto& key : keys_) out.string(key.public_blob()).string(key.comment());
      return out.take();
    }
    const auto found =
        std::ranges::find_if(keys_, [&](const PrivateKey& key) { return key.public_blob() == request.key; });
    if (found == keys_.end()) return failure();
    const auto signature = found->sign(request.data, request.flags);
    return signature ? WireWriter().byte(kSignAnswer).string(*signature).take() : failure();
  }

 private:
  std::vector<PrivateKey> keys_;
};

/// Only an answer that belongs to the request, in its own words; what an agent says besides is none of a step's.
std::string checked(const Request& request, std::string answer) {
  WireReader in(answer);
  if (request.kind == Request::Kind::kSign) {
    if (in.byte() != kSignAnswer) return failure();
    (void)in.string();
    return in.complete() ? std::move(answer) : failure();
  }
  if (in.byte() != kListAnswer) return failure();
  const std::uint32_t count = in.number();
  for (std::uint32_t i = 0; i < count && in.good(); ++i) {
    (void)in.string();
    (void)in.string();
  }
  return in.complete() ? std::move(answer) : failure();
}

class SocketAgent final : public Agent {
 public:
  explicit SocketAgent(std::string path) : path_(std::move(path)) {}

  std::string answer(const Request& request, const Cancel& cancel) const override {
    WireWriter message;
    if (request.kind == Request::Kind::kList)
      message.byte(kListRequest);
    else
      message.byte(kSignRequest).string(request.key).string(request.data).number(request.flags);
    const sys::Fd connection = connect();
    if (!connection || !send_frame(connection.get(), message.take(), cancel)) return failure();
    auto answer = receive_frame(connection.get(), cancel);
    return answer && *answer ? checked(request, **std::move(answer)) : failure();
  }
  std::string socket() const override { return path_; }

 private:
  sys::Fd connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) return {};
    std::copy(path_.begin(), path_.end(), address.sun_path);
    sys::Fd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{2, 0};  // with a full queue connect(2) waits as long as a send does
    if (connection) (void)setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (!connection || ::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
      return {};
    return connection;
  }

  std::string path_;
};

Result<PrivateKey> read_key(const std::string& path) {
  std::string text =
      TRY(context(sys::read_file(path, PrivateKey::kFileLimit), "while reading the ssh key {}", quoted(path, 300)));
  auto key = PrivateKey::parse(text);
  OPENSSL_cleanse(text.data(), text.size());
  if (!key)
    return std::unexpected(
        Error(key.error().code(), fmt::format("cannot use {} as an ssh key: {}", quoted(path, 300), key.error().what()))
            .with_hint(key.error().hint()));
  if (key->comment().empty()) key->set_comment(path.substr(path.rfind('/') + 1));
  return key;
}

}  // namespace

std::optional<Request> parse_request(std::string_view message) {
  WireReader in(message);
  Request out;
  switch (in.byte()) {
    case kListRequest:
      break;
    case kSignRequest:
      out.kind = Request::Kind::kSign;
      out.key = in.string();
      out.data = in.string();
      out.flags = in.number();
      if ((out.flags & ~kKnownFlags) != 0) return std::nullopt;
      break;
    default:
      return std::nullopt;
  }
  if (!in.complete()) return std::nullopt;
  return out;
}

std::string failure() { return std::string(1, static_cast<char>(kFailure)); }

std::shared_ptr<Agent> agent_of_keys(std::vector<PrivateKey> keys) {
  return std::make_shared<KeyAgent>(std::move(keys));
}
std::shared_ptr<Agent> agent_at_socket(std::string path) { return std::make_shared<SocketAgent>(std::move(path)); }

Result<std::shared_ptr<Agent>> open_agent(const std::vector<std::string>& paths) {
  std::string socket;
  std::vector<PrivateKey> keys;
  for (const auto& path : paths) {
    if (!socket.empty()) return fail(Code::kInvalidArgument, "only single socket allowed");
    struct stat info{};
    if (::stat(path.c_str(), &info) < 0) return fail_errno("cannot use {} as an ssh agent or key", quoted(path, 300));
    if (S_ISSOCK(info.st_mode))
      socket = path;
    else
      keys.push_back(TRY(read_key(path)));
  }
  if (socket.empty()) return agent_of_keys(std::move(keys));
  if (!keys.empty()) return fail(Code::kInvalidArgument, "invalid combination of keys and sockets");
  if (socket.size() >= sizeof(sockaddr_un::sun_path))
    return fail(Code::kInvalidArgument, "the path of the ssh agent's socket {} is longer than the kernel takes",
                quoted(socket, 300));
  return agent_at_socket(std::move(socket));
}

}  // namespace slipway::ssh
