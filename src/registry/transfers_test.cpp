// Transfers that break, run out of credentials, are sent elsewhere and get nowhere: they end whole, or soon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/synced.hpp"
#include "base/text.hpp"
#include "http/loopback_server.hpp"
#include "registry/client.hpp"
#include "registry/patience.hpp"
#include "registry/retry.hpp"

namespace slipway::registry {
namespace {

using http::testing::Connection;
using http::testing::LoopbackServer;
using http::testing::Received;
using ::testing::HasSubstr;

ClientOptions quick() {
  ClientOptions options;
  options.first_retry_ms = 1;
  options.certificate_directories = {};
  return options;
}

TEST(Retry, WhoWasThereIsWaitedForLonger) {
  const Setback unreached{.error = Error(Code::kUnavailable, "refused"), .retries = 2, .unreached = true};
  const Setback refused{.error = Error(Code::kUnavailable, "503"), .retries = 2};
  Patience patience(90'000);
  const RetryPolicy policy{.first_wait_ms = 0, .patience = &patience};
  EXPECT_TRUE(wait_for_retry(policy, unreached, 1, {}));
  EXPECT_FALSE(wait_for_retry(policy, unreached, 2, {}));  // nobody was ever there: a wrong name or port
  patience.progress(1);
  EXPECT_TRUE(wait_for_retry(policy, unreached, kMostRetriesOfOneThatWasThere - 1, {}));
  EXPECT_FALSE(wait_for_retry(policy, unreached, kMostRetriesOfOneThatWasThere, {}));
  EXPECT_FALSE(wait_for_retry(policy, refused, 2, {}));
}

oci::Reference name_at(const LoopbackServer& server) {
  return oci::Reference::parse(server.authority() + "/app:1").value();
}

oci::Descriptor describe(std::string_view bytes) {
  return {.media_type = "", .digest = oci::Digest::of(bytes), .size = std::ssize(bytes)};
}

/// Bytes of which no two stretches are alike.
std::string content(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += fmt::format("{} ", i);
  text.resize(size);
  return text;
}

// --- downloads

Result<std::string> download(const LoopbackServer& server, const oci::Descriptor& blob,
                             ClientOptions options = quick()) {
  std::string bytes;
  const auto sink = [&](std::string_view piece) -> Status {
    bytes += piece;
    return {};
  };
  TRY(Client::make(std::move(options)).value().repository(name_at(server)).blob(blob, sink, {}));
  return bytes;
}

std::size_t from_of(const Received& request) {
  const auto range = request.headers.find("Range");
  return range ? std::stoul(range->substr(6)) : 0;
}

/// Announces the rest of `blob` from what is asked for and sends `most` bytes of it.
void send_rest(const Received& request, Connection& peer, const std::string& blob, std::size_t most) {
  const std::size_t from = from_of(request);
  peer.send(fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
                        from == 0 ? 200 : 206, blob.size() - from, from, blob.size() - 1, blob.size()));
  peer.send(std::string_view(blob).substr(from, most));
  if (from + most < blob.size()) peer.close();
}

TEST(Download, GoesOnWhileBytesArrive) {
  const std::string blob = content(40'000);
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    send_rest(request, peer, blob, 1100);
  });
  const auto got = download(server, describe(blob));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(*got, blob);
  EXPECT_EQ(server.received().size(), 1U + 37U);
}

TEST(Download, AHostThatWentAwayAfterBytesCameIsTriedFiveTimes) {
  const std::string blob = content(100'000);
  std::atomic<int> asked = 0;
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    ++asked;
    if (asked == 1) return send_rest(request, peer, blob, 10);
    if (asked <= 5) return peer.reset();
    send_rest(request, peer, blob, blob.size());
  });
  const auto got = download(server, describe(blob));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(*got, blob);
}

TEST(Download, ARefusedRangeIsReadFromTheStart) {
  const std::string blob = content(100'000);
  std::atomic<int> asked = 0;
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    if (++asked == 1) return send_rest(request, peer, blob, 50'000);
    if (request.headers.find("Range")) return peer.reply(416, {}, "");
    peer.reply(200, {}, blob);
  });
  const auto got = download(server, describe(blob));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(*got, blob);
  EXPECT_EQ(asked, 3);
}

TEST(Download, ASignedAddressThatRanOutIsAskedForAnew) {
  const std::string blob = content(300'000);
  std::atomic<int> given = 0;
  const LoopbackServer elsewhere([&](const Received& request, Connection& peer) {
    if (request.target != fmt::format("/data?signed={}", given)) return peer.reply(403, {}, "<Error>expired</Error>");
    if (given == 2) {  // it runs out between the registry's answer and our question
      ++given;
      return peer.reply(403, {}, "<Error>expired</Error>");
    }
    send_rest(request, peer, blob, given < 4 ? 100'000 : blob.size());
  });
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(307, {{"Location", elsewhere.url(fmt::format("/data?signed={}", ++given)).text()}}, "");
  });
  const auto got = download(server, describe(blob));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(*got, blob);
  std::vector<std::size_t> from;
  for (const auto& request : elsewhere.received()) from.push_back(from_of(request));
  EXPECT_THAT(from, ::testing::ElementsAre(0, 100'000, 100'000)) << "the range goes with the redirect";
}

TEST(Download, RedirectsToThisMachineAndItsMetadata) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(307, {{"Location", "http://169.254.169.254/latest/meta-data"}}, "");
  });
  const auto got = download(server, describe("blob"));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kPermissionDenied) << got.error().message();
  EXPECT_THAT(got.error().message(), HasSubstr("169.254.169.254, which is not for it to name"));
}

// --- patience

ClientOptions impatient() {
  ClientOptions options = quick();
  options.patience_ms = 400;
  return options;
}

TEST(Impatience, RefusalsAreNoProgress) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(503, {{"Retry-After", "1"}}, "");
  });
  const auto got = download(server, describe("blob"), impatient());
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().hint(), HasSubstr("nothing was transferred for 0.4 s"));
  EXPECT_EQ(server.received().size(), 2U) << "a wait that ends too late is not begun";
}

TEST(Impatience, HeadersAreNoProgress) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.send("HTTP/1.1 200 X\r\n");
    while (peer.send("X: y\r\n")) (void)Cancel().wait_for(5);
    peer.close();
  });
  const auto got = download(server, describe("blob"), impatient());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kDeadlineExceeded) << got.error().message();
  EXPECT_THAT(got.error().message(), HasSubstr("nothing was transferred for 0.4 s"));
}

TEST(Impatience, TheSameBytesAgainAreNoProgress) {
  const std::string blob = content(1'000'000);
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.send(fmt::format("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", blob.size()));
    // Slowly and never further than this: ten attempts of it would take ten times as long.
    for (std::size_t at = 0; at < 90'000 && peer.send(std::string_view(blob).substr(at, 1000)); at += 1000)
      (void)Cancel().wait_for(10);
    peer.close();
  });
  const auto got = download(server, describe(blob), impatient());
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message() + got.error().hint(), HasSubstr("nothing was transferred for 0.4 s"));
  EXPECT_LE(server.received().size(), 5U);
}

TEST(Impatience, NewBytesNowAndThenAreNotEnough) {
  const std::string blob = content(1'000'000);
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    const std::size_t from = from_of(request);
    send_rest(request, peer, blob, 0);
    for (std::size_t at = from; peer.send(std::string_view(blob).substr(at, 2)); at += 2) (void)Cancel().wait_for(10);
  });
  const auto got = download(server, describe(blob), impatient());
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr("nothing was transferred for 0.4 s"));
}

TEST(Impatience, WhatIsSlowOnOurSideIsForgiven) {
  const std::string blob = content(10'000);
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    send_rest(request, peer, blob, blob.size());
  });
  std::string bytes;
  const auto sink = [&](std::string_view piece) -> Status {
    (void)Cancel().wait_for(900);
    bytes += piece;
    return {};
  };
  const auto got = Client::make(impatient()).value().repository(name_at(server)).blob(describe(blob), sink, {});
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(bytes, blob);
}

TEST(Impatience, CountsOverAllTransfers) {
  Patience patience(50);
  EXPECT_TRUE(patience.check()) << "nothing is under way";
  const Patience::Watch one(patience), two(patience);
  (void)Cancel().wait_for(80);
  EXPECT_FALSE(patience.check());
  patience.progress(1);
  EXPECT_FALSE(patience.check()) << "a byte pays for a millisecond";
  patience.progress(1024);
  EXPECT_TRUE(patience.check());
  {
    const Patience::Hold hold(patience);
    (void)Cancel().wait_for(80);
    EXPECT_TRUE(patience.check()) << "somebody of ours is slow";
  }
  EXPECT_GT(patience.left_ms(), 0);
  (void)Cancel().wait_for(80);
  EXPECT_FALSE(patience.check());
}

// --- uploads

/// A registry that keeps what it is sent, and gets in the way as a test says.
class Receiver {
 public:
  struct State {
    std::map<std::string, std::string> sessions;
    std::map<std::string, std::string> blobs;
    std::vector<std::string> log;  ///< "POST", "PATCH 100-199", "PUT 200", "GET", "HEAD"
    int opened = 0;
    std::vector<int> trouble;  ///< for each PATCH and PUT: 0, a status that is given halfway, or kCut
  };
  static constexpr int kCut = -1;
  static constexpr int kLostAnswer = -2;
  static constexpr int kHalf = -3;  ///< a PATCH of which it keeps half and claims all

  explicit Receiver(std::vector<int> trouble = {})
      : server_([this](const Received& r, Connection& p) { answer(r, p); },
                [this](const Received& head) { return appetite(head); }) {
    state_.lock()->trouble = std::move(trouble);
  }

  Status upload(const std::string& bytes, ClientOptions options = quick(),
                const std::optional<std::string>& mount_from = std::nullopt) {
    const auto open = [&](std::int64_t offset) -> Result<layer::Source> {
      return layer::Source([&bytes, at = static_cast<std::size_t>(offset)](
                               char* buffer, std::size_t size) mutable -> Result<std::size_t> {
        const std::size_t taken = bytes.copy(buffer, size, at);
        at += taken;
        return taken;
      });
    };
    return Client::make(std::move(options))
        .value()
        .repository(name_at(server_))
        .upload(describe(bytes), open, mount_from, nullptr, {});
  }
  [[nodiscard]] bool has(const std::string& bytes) {
    auto state = state_.lock();
    const auto found = state->blobs.find(oci::Digest::of(bytes).text());
    return found != state->blobs.end() && found->second == bytes;
  }
  std::vector<std::string> log() { return state_.lock()->log; }
  int opened() { return state_.lock()->opened; }
  [[nodiscard]] const LoopbackServer& server() const { return server_; }

  // What a test may change before it uploads.
  bool forgets = false;                          ///< a session that broke is gone
  bool no_patch = false;                         ///< PATCH is 405
  bool claims_more = false;                      ///< GET says one byte more than it was sent
  bool says_range = true;                        ///< 202 and 204 carry Range
  std::string mount;                             ///< "201" or "202"
  std::function<bool(const Received&)> lets_in;  ///< else 401
  std::string challenge;

 private:
  static bool carries(const Received& request) { return request.method == "PATCH" || request.method == "PUT"; }

  std::optional<std::size_t> appetite(const Received& head) {
    auto state = state_.lock();
    if (!carries(head) || state->trouble.empty() || state->trouble.front() == 0 ||
        state->trouble.front() == kLostAnswer || state->trouble.front() == kHalf)
      return std::nullopt;
    return std::stoul(head.headers.find("Content-Length").value_or("0")) / 2;
  }

  std::vector<http::Header> headers(const std::string& session, const std::string& held) const {
    std::vector<http::Header> all = {{"Location", "/session/" + session}};
    if (says_range) {
      std::size_t last = held.empty() ? 0 : held.size() - 1;
      if (claims_more) last += 100'000'000;
      all.push_back({"Range", fmt::format("0-{}", last)});
    }
    return all;
  }

  void answer(const Received& request, Connection& peer) {
    auto state = state_.lock();
    if (request.target == "/v2/")
      return peer.reply(challenge.empty() ? 200 : 401, {{"WWW-Authenticate", challenge}}, "");
    const auto range = request.headers.find("Content-Range");
    state->log.push_back(request.method + (carries(request) ? range ? " " + *range : " all" : ""));
    if (lets_in && !lets_in(request)) return peer.reply(401, {{"WWW-Authenticate", challenge}}, "");
    if (request.method == "HEAD") {
      const bool there = state->blobs.contains(request.target.substr(request.target.rfind('/') + 1));
      peer.send(fmt::format("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", there ? 200 : 404));
      return;
    }
    if (request.method == "POST") {
      if (mount == "201" && request.target.find("mount=") != std::string::npos) return peer.reply(201, {}, "");
      const std::string session = std::to_string(++state->opened);
      state->sessions[session] = "";
      return peer.reply(202, headers(session, ""), "");
    }
    const std::string path = request.target.substr(0, request.target.find('?'));
    const std::string session = path.substr(path.rfind('/') + 1);
    const auto found = state->sessions.find(session);
    if (found == state->sessions.end()) return peer.reply(404, {}, R"({"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]})");
    std::string& held = found->second;
    if (request.method == "GET") return peer.reply(204, headers(session, held), "");
    if (no_patch && request.method == "PATCH") return peer.reply(405, {}, "");
    if (range && !range->starts_with(fmt::format("{}-", held.size())))
      return peer.reply(416, headers(session, held), "");
    int trouble = 0;
    if (!state->trouble.empty()) {
      trouble = state->trouble.front();
      state->trouble.erase(state->trouble.begin());
    }
    held += request.body;
    if (trouble == kHalf) {
      peer.reply(202, headers(session, held), "");
      held.resize(held.size() - request.body.size() / 2);
      return;
    }
    if (trouble != 0 && trouble != kLostAnswer) {
      if (forgets) state->sessions.erase(found);
      if (trouble == kCut) return peer.reset();
      peer.reply(trouble, {{"WWW-Authenticate", challenge}, {"Connection", "close"}}, "");
      return peer.close();
    }
    if (request.method == "PATCH") return peer.reply(202, headers(session, held), "");
    const auto digest = oci::Digest::of(held).text();
    if (request.target.find(http::percent_encode(digest)) == std::string::npos)
      return peer.reply(400, {}, R"({"errors":[{"code":"DIGEST_INVALID"}]})");
    state->blobs[digest] = held;
    state->sessions.erase(found);
    if (trouble == kLostAnswer) return peer.reset();
    peer.reply(201, {{"Docker-Content-Digest", digest}}, "");
  }

  Synced<State> state_;
  LoopbackServer server_;
};

const std::string kBlob = content(8'000'000);

TEST(Upload, GoesInOneRequestWhenNothingBreaks) {
  Receiver receiver;
  ASSERT_TRUE(receiver.upload(kBlob));
  EXPECT_TRUE(receiver.has(kBlob));
  EXPECT_THAT(receiver.log(), ::testing::ElementsAre("HEAD", "POST", "PUT all"));
}

TEST(Upload, GoesOnWhereItBroke) {
  for (const int trouble : {Receiver::kCut, 500, 503}) {
    Receiver receiver({trouble});
    const auto sent = receiver.upload(kBlob);
    ASSERT_TRUE(sent) << sent.error().message();
    EXPECT_TRUE(receiver.has(kBlob));
    EXPECT_EQ(receiver.opened(), 1) << "one session";
    const auto log = receiver.log();
    ASSERT_GE(log.size(), 5U);
    EXPECT_EQ(log[3], "GET");
    EXPECT_THAT(log[4], ::testing::StartsWith("PATCH 4000000-")) << "no byte twice";
  }
}

TEST(Upload, GoesOnAfterManyBreaks) {
  std::vector<int> trouble;
  for (int i = 0; i < 40; ++i) trouble.push_back(i % 3 == 0 ? Receiver::kCut : 0);
  Receiver receiver(trouble);
  const auto sent = receiver.upload(kBlob);
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_TRUE(receiver.has(kBlob));
  EXPECT_EQ(receiver.opened(), 1);
}

TEST(Upload, BeginsAnewWhenTheSessionIsGone) {
  Receiver receiver({Receiver::kCut, Receiver::kCut});
  receiver.forgets = true;
  const auto sent = receiver.upload(kBlob);
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_TRUE(receiver.has(kBlob));
  EXPECT_EQ(receiver.opened(), 3);
}

TEST(Upload, ASessionThatClaimsTooMuchIsLeft) {
  Receiver receiver({Receiver::kCut});
  receiver.claims_more = true;
  const auto sent = receiver.upload(kBlob);
  ASSERT_FALSE(sent) << "its answers to PATCH lie as well";
  EXPECT_EQ(sent.error().code(), Code::kDataLoss);
  EXPECT_THAT(sent.error().message(), HasSubstr("claims to have"));
  EXPECT_EQ(receiver.opened(), 2);
}

TEST(Upload, ARegistryWithoutPiecesGetsTheWhole) {
  Receiver receiver({Receiver::kCut});
  receiver.no_patch = true;
  receiver.forgets = true;
  const auto sent = receiver.upload(kBlob);
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_TRUE(receiver.has(kBlob));
  EXPECT_EQ(receiver.log().back(), "PUT all");
}

TEST(Upload, GoesBackToWhatTheRegistryReallyHas) {
  Receiver receiver({Receiver::kCut, 0, Receiver::kHalf});
  const auto sent = receiver.upload(kBlob);
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_TRUE(receiver.has(kBlob));
  EXPECT_EQ(receiver.opened(), 1);
}

TEST(Upload, ALostAnswerIsNotALostBlob) {
  Receiver receiver({Receiver::kLostAnswer});
  const auto sent = receiver.upload(kBlob);
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_THAT(receiver.log(), ::testing::ElementsAre("HEAD", "POST", "PUT all", "GET", "HEAD"));
}

TEST(Upload, EndsWhenNothingIsEverKept) {
  std::vector<int> trouble(1000, Receiver::kCut);
  Receiver receiver(trouble);
  receiver.forgets = true;
  ASSERT_FALSE(receiver.upload(kBlob));
  EXPECT_EQ(receiver.opened(), 6);
}

TEST(Upload, CredentialsAreRenewedInTheMiddle) {
  std::atomic<int> given = 0;
  const LoopbackServer tokens([&](const Received&, Connection& peer) {
    peer.reply(200, {}, fmt::format(R"({{"token": "t{}", "expires_in": 3600}})", ++given));
  });
  Receiver receiver({401, 0, 0, 401});
  receiver.challenge = fmt::format("Bearer realm=\"{}\",service=\"s\"", tokens.url("/token").text());
  // A token that was refused is not good any more.
  const auto sent = receiver.upload(kBlob);
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_TRUE(receiver.has(kBlob));
  EXPECT_EQ(receiver.opened(), 1);
  EXPECT_EQ(given, 3);
  std::set<std::string> shown;
  for (const auto& request : receiver.server().received())
    if (request.method != "GET" || request.target != "/v2/")
      shown.insert(request.headers.find("Authorization").value_or(""));
  EXPECT_THAT(shown, ::testing::ElementsAre("Bearer t1", "Bearer t2", "Bearer t3"));
  EXPECT_THAT(receiver.log()[4], ::testing::StartsWith("PATCH 4000000-"));
}

TEST(Upload, CredentialsThatAreNeverGoodEnough) {
  const LoopbackServer tokens([&](const Received&, Connection& peer) { peer.reply(200, {}, R"({"token": "t"})"); });
  Receiver receiver(std::vector<int>(100, 401));
  receiver.challenge = fmt::format("Bearer realm=\"{}\"", tokens.url("/token").text());
  receiver.forgets = true;
  const auto sent = receiver.upload(kBlob);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code(), Code::kUnauthenticated) << sent.error().message();
  EXPECT_LE(receiver.opened(), 4);
}

TEST(Upload, MountsOrFallsBackToTheSessionItGot) {
  Receiver mounted;
  mounted.mount = "201";
  ASSERT_TRUE(mounted.upload(kBlob, quick(), "other"));
  EXPECT_THAT(mounted.log(), ::testing::ElementsAre("HEAD", "POST"));
  Receiver sent;
  sent.mount = "202";
  ASSERT_TRUE(sent.upload(kBlob, quick(), "other"));
  EXPECT_THAT(sent.log(), ::testing::ElementsAre("HEAD", "POST", "PUT all"));
  EXPECT_EQ(sent.opened(), 1);
  EXPECT_TRUE(sent.has(kBlob));
}

TEST(Upload, APlaceElsewhereAndRelativePlaces) {
  const std::string blob = content(100);
  std::vector<std::string> places;
  const LoopbackServer elsewhere([](const Received& request, Connection& peer) {
    if (request.method == "PUT" && request.target.starts_with("/store/next?digest=")) return peer.reply(201, {}, "");
    peer.reply(404, {}, "");
  });
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.method == "HEAD") return peer.send("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"), void();
    peer.reply(request.method == "POST" ? 202 : 200, {{"Location", elsewhere.url("/store/next").text()}}, "");
  });
  const auto open = [&](std::int64_t) -> Result<layer::Source> {
    return layer::Source([&blob, at = std::size_t{0}](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
      const std::size_t taken = blob.copy(buffer, size, at);
      at += taken;
      return taken;
    });
  };
  EXPECT_TRUE(Client::make(quick())
                  .value()
                  .repository(name_at(server))
                  .upload(describe(blob), open, std::nullopt, nullptr, {}));
  EXPECT_EQ(elsewhere.received().at(0).body, blob);
}

}  // namespace
}  // namespace slipway::registry
