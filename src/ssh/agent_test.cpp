// What a hostile step may send, and what comes of it: the user's agent hears of lists and signatures and of nothing
// else.
#include "ssh/agent.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "ssh/forwarder.hpp"
#include "ssh/frame.hpp"
#include "ssh/key_maker_testing.hpp"
#include "ssh/wire.hpp"
#include "sys/file.hpp"

namespace slipway::ssh {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string message(std::uint8_t type, const std::string& body = "") { return WireWriter().byte(type).take() + body; }
std::string sign(const std::string& key, const std::string& data, std::uint32_t flags) {
  return WireWriter().byte(13).string(key).string(data).number(flags).take();
}

sys::Fd connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  sys::Fd out(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return out;
}

/// Remembers what it was sent, and answers everything with what it was told to.
class Recorder final : public Agent {
 public:
  std::string answer(const Request& request, const Cancel&) const override {
    const std::lock_guard lock(mutex);
    heard.push_back(request.kind == Request::Kind::kList ? "list" : "sign " + std::string(request.data));
    return reply;
  }
  mutable std::mutex mutex;
  mutable std::vector<std::string> heard;
  std::string reply = WireWriter().byte(12).number(0).take();
};

class ForwarderTest : public ::testing::Test {
 protected:
  sys::TempDir directory = sys::TempDir::make("/tmp", "slipway-agent-test-").value();
  std::string path = directory.path() + "/s";
  std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();

  std::string ask(int socket, const std::string& bytes) {
    EXPECT_TRUE(send_frame(socket, bytes, {}));
    const auto answer = receive_frame(socket, {});
    EXPECT_TRUE(answer && *answer);
    return answer && *answer ? **answer : "";
  }
};

TEST(ParseRequest, ListsAndSignaturesPass) {
  EXPECT_EQ(parse_request(message(11))->kind, Request::Kind::kList);
  const std::string wanted = sign("key", "data", 4);
  const auto request = parse_request(wanted);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->key, "key");
  EXPECT_EQ(request->data, "data");
  EXPECT_EQ(request->flags, 4U);
}

TEST(ParseRequest, NothingElseDoes) {
  for (int type = 0; type < 256; ++type) {
    if (type == 11 || type == 13) continue;
    EXPECT_FALSE(parse_request(message(static_cast<std::uint8_t>(type)))) << type;
  }
  EXPECT_FALSE(parse_request(""));
  EXPECT_FALSE(parse_request(message(11, "x")));
  EXPECT_FALSE(parse_request(sign("k", "d", 1)));  // an old kind of signature
  EXPECT_FALSE(parse_request(sign("k", "d", 8)));
  EXPECT_FALSE(parse_request(sign("k", "d", 2) + "x"));
  const std::string whole = sign("key", "data", 2);
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_request(whole.substr(0, size))) << size;
  EXPECT_FALSE(parse_request(message(13, std::string("\xff\xff\xff\xff", 4) + "x")));
}

TEST_F(ForwarderTest, OnlyWhatWasUnderstoodReachesTheAgent) {
  const Forwarder forwarder(listen_at(path).value(), recorder);
  const sys::Fd step = connect_to(path);
  for (int type = 0; type < 64; ++type) {
    if (type == 11) continue;
    EXPECT_EQ(ask(step.get(), message(static_cast<std::uint8_t>(type))), failure()) << type;
  }
  EXPECT_EQ(ask(step.get(), message(27, WireWriter().string("session-bind@openssh.com").take())), failure());
  EXPECT_THAT(recorder->heard, IsEmpty());
  EXPECT_EQ(ask(step.get(), message(11)), recorder->reply);
  EXPECT_EQ(ask(step.get(), sign("k", "this", 0)), recorder->reply);
  EXPECT_THAT(recorder->heard, ElementsAre("list", "sign this"));
}

TEST_F(ForwarderTest, LengthsThatNoneMayHaveEndTheConnection) {
  const Forwarder forwarder(listen_at(path).value(), recorder);
  for (const std::uint32_t size : {std::uint32_t{0}, kMessageLimit + 1, ~std::uint32_t{0}}) {
    const sys::Fd step = connect_to(path);
    const std::string head = WireWriter().number(size).take();
    ASSERT_EQ(send(step.get(), head.data(), head.size(), 0), 4);
    char byte = 0;
    EXPECT_EQ(recv(step.get(), &byte, 1, 0), 0) << size;
  }
  const sys::Fd step = connect_to(path);  // and others are served as before
  EXPECT_EQ(ask(step.get(), message(11)), recorder->reply);
}

TEST_F(ForwarderTest, ItsEndIsTheEndOfConnectionsInTheMiddleOfAMessage) {
  auto forwarder = std::make_unique<Forwarder>(listen_at(path).value(), recorder);
  std::vector<sys::Fd> steps;
  for (std::size_t i = 0; i < Forwarder::kConnections + 4; ++i) {  // more than are served at once
    steps.push_back(connect_to(path));
    const std::string half = WireWriter().number(100).byte(11).take();
    ASSERT_EQ(send(steps.back().get(), half.data(), half.size(), 0), 5);
  }
  forwarder.reset();
  char byte = 0;
  for (const auto& step : steps) EXPECT_LE(recv(step.get(), &byte, 1, 0), 0);
  EXPECT_THAT(recorder->heard, IsEmpty());
}

TEST_F(ForwarderTest, AnAgentsAnswerMustBelongToTheRequest) {
  // The other end of SocketAgent is a forwarder here that says what it is told.
  const auto agent = agent_at_socket(path);
  const Forwarder forwarder(listen_at(path).value(), recorder);
  const std::string wanted = sign("k", "d", 0);
  const Request list = *parse_request(std::string_view("\x0b", 1)), signature = *parse_request(wanted);
  EXPECT_EQ(agent->answer(list, {}), recorder->reply);
  EXPECT_EQ(agent->answer(signature, {}), failure());  // a list, where a signature was asked for
  for (const std::string& reply :
       {message(6), message(12), message(12, "xxxxx"), WireWriter().byte(12).number(1).string("k").take(),
        WireWriter().byte(12).number(~0U).take(), WireWriter().byte(14).string("s").take()}) {
    recorder->reply = reply;
    EXPECT_EQ(agent->answer(list, {}), failure()) << testing::PrintToString(reply);
  }
  recorder->reply = WireWriter().byte(14).string("s").take();
  EXPECT_EQ(agent->answer(signature, {}), recorder->reply);
  EXPECT_EQ(agent_at_socket(directory.path() + "/nobody")->answer(list, {}), failure());
}

TEST_F(ForwarderTest, KeysFromFilesAreListedAndSign) {
  if (!KeyMaker::there()) GTEST_SKIP() << "needs ssh-keygen (package openssh-client)";
  KeyMaker maker;
  const auto agent = open_agent({maker.make("a", {"-t", "ed25519"}), maker.make("b", {"-t", "ecdsa"})}).value();
  const std::string answer = agent->answer({}, {});
  WireReader in(answer);
  EXPECT_EQ(in.byte(), 12);
  EXPECT_EQ(in.number(), 2U);
  EXPECT_EQ(in.string(), maker.public_blob("a"));
  EXPECT_EQ(in.string(), "a@test");
  const std::string wanted = sign(maker.public_blob("b"), "data", 0), unknown = sign("other", "data", 0);
  EXPECT_EQ(agent->answer(*parse_request(wanted), {})[0], 14);
  EXPECT_EQ(agent->answer(*parse_request(unknown), {}), failure());

  const sys::Fd socket = listen_at(path).value();
  EXPECT_EQ(open_agent({path})->get()->socket(), path);
  EXPECT_EQ(open_agent({path, path}).error().what(), "only single socket allowed");
  EXPECT_EQ(open_agent({maker.path("a"), path}).error().what(), "invalid combination of keys and sockets");
  EXPECT_THAT(open_agent({maker.path("none")}).error().what(), HasSubstr("/none"));
  EXPECT_THAT(open_agent({maker.path("a.pub")}).error().what(), HasSubstr("holds no private key"));
}

}  // namespace
}  // namespace slipway::ssh
