// The client against registries that lie, stall, send it elsewhere and want what is not theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "http/loopback_server.hpp"
#include "registry/base64.hpp"
#include "registry/client.hpp"

namespace slipway::registry {
namespace {

using http::testing::Connection;
using http::testing::Handler;
using http::testing::LoopbackServer;
using http::testing::Received;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kBasic = "Basic am9lOnMzY3JldA==";  // joe:s3cret

/// A client that knows joe at `registry`.
Client make_client(const std::string& registry) {
  ClientOptions options;
  const std::string text =
      fmt::format(R"({{"auths": {{"{}": {{"username": "joe", "password": "s3cret"}}}}}})", registry);
  options.credentials = CredentialStore::load([&](const std::string& name) -> std::optional<std::string> {
                          if (name == "DOCKER_AUTH_CONFIG") return text;
                          return std::nullopt;
                        }).value();
  options.first_retry_ms = 1;
  options.certificate_directories = {};
  return Client::make(std::move(options)).value();
}

oci::Reference name_at(const LoopbackServer& server) {
  return oci::Reference::parse(server.authority() + "/app:1").value();
}

oci::Descriptor describe(std::string_view bytes) {
  return {.media_type = "", .digest = oci::Digest::of(bytes), .size = std::ssize(bytes)};
}

Result<std::string> download(const LoopbackServer& server, const oci::Descriptor& blob, const Cancel& cancel = {}) {
  std::string bytes;
  const auto sink = [&](std::string_view piece) -> Status {
    bytes += piece;
    return {};
  };
  TRY(make_client(server.authority()).repository(name_at(server)).blob(blob, sink, cancel));
  return bytes;
}

Result<Document> get_manifest(const LoopbackServer& server, const Cancel& cancel = {}) {
  return make_client(server.authority()).repository(name_at(server)).manifest(name_at(server), cancel);
}

Status upload(const Client& client, const LoopbackServer& server, const std::string& bytes,
              const std::optional<std::string>& mount_from = std::nullopt) {
  const auto open = [&](std::int64_t) -> Result<layer::Source> {
    return layer::Source([&bytes, at = std::size_t{0}](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
      const std::size_t taken = bytes.copy(buffer, size, at);
      at += taken;
      return taken;
    });
  };
  return client.repository(name_at(server)).upload(describe(bytes), open, mount_from, nullptr, {});
}

bool shows_credentials(const LoopbackServer& server) {
  for (const auto& request : server.received())
    if (request.headers.find("Authorization")) return true;
  return false;
}

std::size_t count(const LoopbackServer& server, std::string_view part) {
  std::size_t found = 0;
  for (const auto& request : server.received())
    if (request.target.find(part) != std::string::npos) ++found;
  return found;
}

void challenge(Connection& peer, const std::string& value) { peer.reply(401, {{"WWW-Authenticate", value}}, ""); }

/// Wants joe's Basic credentials and then does what `then` says.
Handler for_joe(Handler then) {
  return [then = std::move(then)](const Received& request, Connection& peer) {
    if (request.headers.find("Authorization") != kBasic) return challenge(peer, "Basic realm=\"x\"");
    then(request, peer);
  };
}

// --- credentials stay where they belong

TEST(Hostile, TheFirstQuestionCarriesNoCredentials) {
  const LoopbackServer server(for_joe([](const Received&, Connection& peer) { peer.reply(200, {}, "{}"); }));
  ASSERT_TRUE(get_manifest(server));
  const auto requests = server.received();
  EXPECT_EQ(requests.at(0).target, "/v2/");
  EXPECT_EQ(requests.at(0).headers.find("Authorization"), std::nullopt);
  EXPECT_EQ(requests.at(1).headers.find("Authorization"), kBasic);
}

TEST(Hostile, ARedirectToAnotherHostLosesTheCredentialsForGood) {
  const std::string blob = "the blob";
  LoopbackServer* registry = nullptr;
  const LoopbackServer elsewhere([&](const Received& request, Connection& peer) {
    if (request.target == "/direct") return peer.reply(200, {}, blob);
    peer.reply(302, {{"Location", registry->url("/back").text()}}, "");
  });
  LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/back") return peer.reply(200, {}, blob);
    for_joe([&](const Received& known, Connection& to) {
      const bool direct = known.target.find(oci::Digest::of(blob).text()) != std::string::npos;
      to.reply(307, {{"Location", elsewhere.url(direct ? "/direct" : "/bounce").text()}}, "");
    })(request, peer);
  });
  registry = &server;
  const auto direct = download(server, describe(blob));
  ASSERT_TRUE(direct) << direct.error().message();
  EXPECT_EQ(*direct, blob);
  auto bounced = describe("other");
  bounced.size = std::ssize(blob);
  ASSERT_TRUE(download(server, bounced));
  EXPECT_FALSE(shows_credentials(elsewhere));
  EXPECT_EQ(server.received().back().target, "/back");
  EXPECT_EQ(server.received().back().headers.find("Authorization"), std::nullopt) << "not even when it comes back";
}

TEST(Hostile, ARedirectAtHomeKeepsThem) {
  const LoopbackServer server(for_joe([](const Received& request, Connection& peer) {
    if (request.target == "/moved?x=1") return peer.reply(200, {}, "blob");
    peer.reply(301, {{"Location", "/moved?x=1"}}, "");
  }));
  EXPECT_EQ(download(server, describe("blob")).value(), "blob");
}

TEST(Hostile, AnotherHostsChallengeIsNotAnswered) {
  const LoopbackServer elsewhere([](const Received&, Connection& peer) { challenge(peer, "Basic realm=\"give\""); });
  const LoopbackServer server(for_joe(
      [&](const Received&, Connection& peer) { peer.reply(307, {{"Location", elsewhere.url("/x").text()}}, ""); }));
  const auto got = download(server, describe("blob"));
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr(elsewhere.authority()));
  EXPECT_EQ(got.error().hint(), "") << "a login would not help";
  EXPECT_FALSE(shows_credentials(elsewhere));
}

TEST(Hostile, RedirectsThatAreRefused) {
  for (const std::string location :
       {"ftp://127.0.0.1/x", "file:///etc/passwd", "http://joe:pw@127.0.0.1/", "http://\r\n/"}) {
    const LoopbackServer server([&](const Received& request, Connection& peer) {
      if (request.target == "/v2/") return peer.reply(200, {}, "");
      peer.reply(307, {{"Location", location}}, "");
    });
    EXPECT_FALSE(download(server, describe("blob"))) << location;
  }
  const LoopbackServer circle(
      [](const Received& request, Connection& peer) { peer.reply(302, {{"Location", request.target + "x"}}, ""); });
  const auto got = download(circle, describe("blob"));
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr("redirects more than 10 times"));
  EXPECT_EQ(circle.received().size(), 1U + 11U);
}

TEST(Hostile, AnUploadPlaceElsewhereSeesNoCredentials) {
  const LoopbackServer elsewhere([](const Received&, Connection& peer) { peer.reply(201, {}, ""); });
  const LoopbackServer server(for_joe([&](const Received& request, Connection& peer) {
    if (request.method == "HEAD") return peer.send("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"), void();
    peer.reply(202, {{"Location", elsewhere.url("/put?state=1").text()}}, "");
  }));
  const auto sent = upload(make_client(server.authority()), server, "blob");
  ASSERT_TRUE(sent) << sent.error().message();
  ASSERT_EQ(elsewhere.received().size(), 1U);
  EXPECT_EQ(elsewhere.received()[0].body, "blob");
  EXPECT_EQ(elsewhere.received()[0].target,
            "/put?state=1&digest=" + http::percent_encode(oci::Digest::of("blob").text()));
  EXPECT_FALSE(shows_credentials(elsewhere));
}

TEST(Hostile, RealmsThatGetNothing) {
  for (const std::string realm :
       {"http://registry.example/token", "http://127.0.0.1.evil.example/token", "ftp://127.0.0.1/token",
        "http://joe@127.0.0.1/token", "//127.0.0.1/token", "token", ""}) {
    const LoopbackServer server([&](const Received&, Connection& peer) {
      challenge(peer, fmt::format("Bearer realm=\"{}\",service=\"x\"", realm));
    });
    const auto got = get_manifest(server);
    ASSERT_FALSE(got) << realm;
    // Refused by our rule, not by a name server that does not know the host.
    EXPECT_THAT(got.error().message(), AnyOf(HasSubstr("no credentials go there"), HasSubstr("token realm"))) << realm;
    EXPECT_FALSE(shows_credentials(server)) << realm;
    EXPECT_EQ(server.received().size(), 1U) << realm;
  }
}

TEST(Hostile, ATokenServerThatRedirectsIsNotFollowed) {
  const LoopbackServer third([](const Received&, Connection& peer) { peer.reply(200, {}, R"({"token": "t"})"); });
  const LoopbackServer tokens(
      [&](const Received&, Connection& peer) { peer.reply(307, {{"Location", third.url("/token").text()}}, ""); });
  const LoopbackServer server([&](const Received&, Connection& peer) {
    challenge(peer, fmt::format("Bearer realm=\"{}\"", tokens.url("/token").text()));
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr("the token server " + tokens.url("/").origin()));
  EXPECT_TRUE(third.received().empty());
  EXPECT_FALSE(shows_credentials(server));
}

TEST(Hostile, ARealmThatMovesGetsNothing) {
  const LoopbackServer thief([](const Received&, Connection& peer) { peer.reply(200, {}, R"({"token": "t"})"); });
  const LoopbackServer tokens([](const Received&, Connection& peer) { peer.reply(200, {}, R"({"token": "t"})"); });
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    const auto& realm = request.target == "/v2/" ? tokens : thief;
    challenge(peer, fmt::format("Bearer realm=\"{}\"", realm.url("/token").text()));
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr("changed its token server"));
  EXPECT_TRUE(thief.received().empty());
}

TEST(Hostile, TokensThatCouldBreakALine) {
  for (const std::string token : {R"(a\r\nX-Evil: 1)", "", "a b", R"(\u0000)"}) {
    const LoopbackServer tokens(
        [&](const Received&, Connection& peer) { peer.reply(200, {}, fmt::format(R"({{"token": "{}"}})", token)); });
    const LoopbackServer server([&](const Received&, Connection& peer) {
      challenge(peer, fmt::format("Bearer realm=\"{}\"", tokens.url("/token").text()));
    });
    const auto got = get_manifest(server);
    ASSERT_FALSE(got);
    EXPECT_THAT(got.error().message(), HasSubstr("no usable token")) << token;
  }
}

// --- tokens that run out

TEST(Tokens, AreRenewedInTheMiddle) {
  std::atomic<int> given = 0;
  const LoopbackServer tokens([&](const Received&, Connection& peer) {
    peer.reply(200, {}, fmt::format(R"({{"token": "t{}", "expires_in": 3600}})", ++given));
  });
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    // A token is good for one use only.
    static std::string last;
    const std::string shown = request.headers.find("Authorization").value_or("");
    if (shown.empty() || shown == last)
      return challenge(peer, fmt::format("Bearer realm=\"{}\",service=\"s\"", tokens.url("/token").text()));
    last = shown;
    peer.reply(200, {{"Content-Type", "a/b"}}, "{}");
  });
  const Client client = make_client(server.authority());
  for (int i = 1; i <= 3; ++i) {
    const auto got = client.repository(name_at(server)).manifest(name_at(server), {});
    ASSERT_TRUE(got) << got.error().message();
    EXPECT_EQ(given, i);
  }
  const auto asked = tokens.received();
  EXPECT_EQ(asked[0].target, "/token?service=s&scope=repository%3Aapp%3Apull&account=joe");
  EXPECT_EQ(asked[0].headers.find("Authorization"), kBasic);
}

TEST(Tokens, ExpireByTheirLifetime) {
  std::atomic<int> given = 0;
  const LoopbackServer tokens([&](const Received&, Connection& peer) {
    // Nothing is said about the lifetime at first (60 s), then nearly nothing is left of it.
    ++given;
    peer.reply(200, {}, given == 1 ? R"({"access_token": "t"})" : R"({"token": "t", "expires_in": 99999999999})");
  });
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (!request.headers.find("Authorization"))
      return challenge(peer, fmt::format("Bearer realm=\"{}\"", tokens.url("/token").text()));
    peer.reply(200, {}, "{}");
  });
  const Client client = make_client(server.authority());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.repository(name_at(server)).manifest(name_at(server), {}));
  EXPECT_EQ(given, 1);
}

TEST(Tokens, ManyThreadsAskOnce) {
  const LoopbackServer tokens([](const Received&, Connection& peer) { peer.reply(200, {}, R"({"token": "t"})"); });
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (!request.headers.find("Authorization"))
      return challenge(peer, fmt::format("Bearer realm=\"{}\"", tokens.url("/token").text()));
    peer.reply(200, {}, "{}");
  });
  const Client client = make_client(server.authority());
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] { EXPECT_TRUE(client.repository(name_at(server)).manifest(name_at(server), {})); });
  }
  EXPECT_EQ(tokens.received().size(), 1U);
  EXPECT_EQ(count(server, "/v2/app/"), 8U);
}

TEST(Tokens, AnUploadWithoutTheRightToMountIsSent) {
  const LoopbackServer tokens([](const Received& request, Connection& peer) {
    if (request.target.find("secret") != std::string::npos) return peer.reply(403, {}, "");
    peer.reply(200, {}, R"({"token": "t"})");
  });
  std::string got;
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (!request.headers.find("Authorization"))
      return challenge(peer, fmt::format("Bearer realm=\"{}\"", tokens.url("/token").text()));
    if (request.method == "HEAD") return peer.send("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"), void();
    if (request.method == "POST") return peer.reply(202, {{"Location", "/place"}}, "");
    got = request.body;
    peer.reply(201, {}, "");
  });
  const auto sent = upload(make_client(server.authority()), server, "blob", "secret/app");
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_EQ(got, "blob");
}

// --- sizes and digests

/// Answers the first question and then gives `raw` bytes to each.
Handler raw_answer(std::string raw) {
  return [raw = std::move(raw)](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.send(raw);
    peer.close();
  };
}

TEST(Hostile, ManifestsOfAnotherDigest) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(200, {{"Docker-Content-Digest", oci::Digest::of("{ }").text()}}, "{}");
  });
  const auto by_header = get_manifest(server);
  ASSERT_FALSE(by_header);
  EXPECT_EQ(by_header.error().code(), Code::kDataLoss);
  const auto ref = name_at(server).with_digest(oci::Digest::of("[]"));
  const auto by_digest = make_client("x").repository(ref).manifest(ref, {});
  ASSERT_FALSE(by_digest);
  EXPECT_THAT(by_digest.error().message(), HasSubstr("it should be " + oci::Digest::of("[]").text()));
}

TEST(Hostile, ManifestsWithoutEnd) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.send("HTTP/1.1 200 X\r\n\r\n");
    while (peer.send(std::string(65536, ' '))) {}
    peer.close();
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kOutOfRange);
  EXPECT_THAT(got.error().message(), HasSubstr("has more than 8388608 bytes"));
}

TEST(Hostile, ErrorsWithoutEndAreCut) {
  const LoopbackServer server([](const Received&, Connection& peer) {
    peer.send("HTTP/1.1 403 X\r\n\r\n");
    while (peer.send(std::string(65536, 'x'))) {}
    peer.close();
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kPermissionDenied) << got.error().message();
}

TEST(Hostile, ErrorTextsAreMadePrintable) {
  const LoopbackServer server([](const Received&, Connection& peer) {
    peer.reply(404, {}, "{\"errors\":[{\"code\":\"X\",\"message\":\"\\u001b[31mred\\nline\\u202e\"}]}");
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  const std::string text = got.error().message();
  EXPECT_THAT(text, HasSubstr("red"));
  for (const char c : text) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << text;
  EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos) << text;
}

TEST(Hostile, HeadersWithoutEnd) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.send("HTTP/1.1 200 OK\r\n");
    while (peer.send("X: " + std::string(1000, 'x') + "\r\n")) {}
    peer.close();
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr("more than 65536 bytes of headers"));
  EXPECT_EQ(count(server, "/v2/app/"), 1U) << "not tried again";
}

TEST(Hostile, BlobsOfAnotherSize) {
  const auto refused = [](const std::string& raw, std::string_view why) {
    const LoopbackServer server(raw_answer(raw));
    const auto got = download(server, describe("blob"));
    ASSERT_FALSE(got) << raw;
    EXPECT_EQ(got.error().code(), Code::kDataLoss) << got.error().message();
    EXPECT_THAT(got.error().message(), HasSubstr(why));
    EXPECT_EQ(count(server, "/v2/app/"), 1U) << "not tried again: " << raw;
  };
  refused("HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\nblobs", "is announced with 5 bytes, it should have 4");
  refused("HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\nblo", "is announced with 3 bytes, it should have 4");
  refused("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nblobs\r\n0\r\n\r\n", "has more than the 4 bytes");
  refused("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nblo\r\n0\r\n\r\n", "ends after 3 bytes");
  refused("HTTP/1.1 200 X\r\n\r\nblobs", "has more than the 4 bytes");
  refused("HTTP/1.1 206 X\r\nContent-Length: 4\r\nContent-Range: bytes 0-3/4\r\n\r\nblob", "with the range");
}

TEST(Resume, WithAndWithoutRanges) {
  const std::string blob = "0123456789";
  for (const bool ranges : {true, false}) {
    const LoopbackServer server([&](const Received& request, Connection& peer) {
      if (request.target == "/v2/") return peer.reply(200, {}, "");
      const auto range = request.headers.find("Range");
      if (range && ranges) {
        EXPECT_EQ(range, "bytes=4-");
        return peer.reply(206, {{"Content-Range", "bytes 4-9/10"}}, blob.substr(4));
      }
      if (range) return peer.reply(200, {}, blob);
      peer.send("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n0123");
      peer.close();
    });
    const auto got = download(server, describe(blob));
    ASSERT_TRUE(got) << got.error().message();
    EXPECT_EQ(*got, blob);
  }
}

TEST(Resume, ARangeThatWasNotAskedFor) {
  for (const std::string range : {"bytes 3-9/10", "bytes 4-9/11", "bytes 4-8/10", "bytes */10", ""}) {
    const LoopbackServer server([&](const Received& request, Connection& peer) {
      if (request.target == "/v2/") return peer.reply(200, {}, "");
      if (request.headers.find("Range")) return peer.reply(206, {{"Content-Range", range}}, "456789");
      peer.send("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n0123");
      peer.close();
    });
    const auto got = download(server, describe("0123456789"));
    ASSERT_FALSE(got) << range;
    EXPECT_EQ(got.error().code(), Code::kDataLoss) << got.error().message();
  }
}

TEST(Resume, AByteForEachConnectionIsNotForEver) {
  const std::string blob(1000, 'x');
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    const std::string range = request.headers.find("Range").value_or("bytes=0-");
    const std::size_t from = std::stoul(range.substr(6));
    peer.send(fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\nContent-Range: bytes {}-999/1000\r\n\r\nx",
                          from == 0 ? 200 : 206, 1000 - from, from));
    peer.close();
  });
  EXPECT_FALSE(download(server, describe(blob)));
  EXPECT_EQ(count(server, "/v2/app/"), 6U);
}

// --- what a mirror says that could not ask

TEST(Mirrors, AnAnswerFromMemoryIsNoProof) {
  const std::string blob = "blob";
  std::string warning;
  const LoopbackServer mirror([&](const Received& request, Connection& peer) {
    std::vector<http::Header> headers;
    if (!warning.empty()) headers.push_back({"Warning", warning});
    peer.reply(200, headers, request.target == "/v2/" ? "" : blob);
  });
  std::atomic<int> status = 404;
  const LoopbackServer origin([&](const Received& request, Connection& peer) {
    peer.reply(request.target == "/v2/" ? 200 : status.load(), {}, status == 200 ? blob : "");
  });
  const auto repository = [&] {
    ClientOptions options;
    options.certificate_directories = {};
    options.rules[origin.authority()].mirrors = {{.registry = mirror.authority(), .prefix = "", .plain = true}};
    return Client::make(std::move(options)).value().repository(name_at(origin));
  };
  const auto word = [&] {
    std::string bytes;
    const auto sink = [&](std::string_view piece) -> Status {
      bytes += piece;
      return {};
    };
    const auto got = repository().blob(describe(blob), sink, {});
    EXPECT_EQ(bytes, blob);
    return got.value();
  };
  for (const char* trouble : {"110 - \"Response is Stale\"", "112 cache \"Disconnected Operation\"",
                              "299 - \"persistent, and\" , 111 - \"Revalidation Failed\""}) {
    warning = trouble;
    status = 404;
    EXPECT_FALSE(repository().shows_blob(oci::Digest::of(blob), {}).value()) << warning;
    EXPECT_EQ(word(), Word::kStale) << warning;
    status = 200;
    EXPECT_TRUE(repository().shows_blob(oci::Digest::of(blob), {}).value()) << "the registry itself was asked then";
  }
  status = 404;
  for (const char* other : {"", "299 - \"1110 is a number\"", "113 - \"Heuristic Expiration\""}) {
    warning = other;
    EXPECT_TRUE(repository().shows_blob(oci::Digest::of(blob), {}).value()) << warning;
    EXPECT_EQ(word(), Word::kFirm) << warning;
  }
}

// --- trouble that passes, and trouble that does not

TEST(Retry, ErrorsOfTheServerPass) {
  std::atomic<int> asked = 0;
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    if (++asked == 1) return peer.reply(500, {}, "");
    if (asked == 2) return peer.reply(503, {{"Retry-After", "0"}}, "");
    if (asked == 3) return peer.reset();
    if (asked == 4) return peer.reply(429, {}, "");
    peer.reply(200, {}, "{}");
  });
  const auto got = get_manifest(server);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(asked, 5);
}

TEST(Retry, EndsAfterFive) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(502, {}, "<html>");
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kUnavailable);
  EXPECT_THAT(got.error().message(), HasSubstr("failed to serve the manifest of"));
  EXPECT_EQ(count(server, "/v2/app/"), 6U);
}

TEST(Page, WhereAManifestShouldBeIsNamedAsOne) {
  const LoopbackServer server([](const Received&, Connection& peer) {
    peer.reply(200, {{"Content-Type", "text/html; charset=utf-8"}}, "<html>please log in</html>");
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kFailedPrecondition);
  EXPECT_THAT(got.error().message(),
              HasSubstr(server.authority() + " answers with a web page (status 200) where the manifest"));
  EXPECT_THAT(got.error().message(), ::testing::Not(HasSubstr("<")));
}

TEST(Page, InPlaceOfAnErrorIsNamedWithItsStatus) {
  for (const int status : {400, 403, 404}) {
    const LoopbackServer server([&](const Received& request, Connection& peer) {
      if (request.target == "/v2/") return peer.reply(200, {}, "");
      peer.reply(status, {{"Content-Type", "TEXT/HTML"}}, "<html><body>nginx</body></html>");
    });
    const auto got = get_manifest(server);
    ASSERT_FALSE(got);
    EXPECT_THAT(got.error().message(),
                HasSubstr(fmt::format("(status {}: the answer is a web page, not a registry's)", status)));
    EXPECT_THAT(got.error().message(), ::testing::Not(HasSubstr("nginx")));
  }
}

TEST(Page, OfATokenServer) {
  const LoopbackServer tokens([](const Received&, Connection& peer) {
    peer.reply(200, {{"Content-Type", "text/html"}}, "<html>please log in</html>");
  });
  const LoopbackServer server([&](const Received&, Connection& peer) {
    peer.reply(401, {{"WWW-Authenticate", fmt::format("Bearer realm=\"http://{}/token\"", tokens.authority())}}, "");
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr("it answers with a web page, not with a token"));
}

TEST(Explained, ByALineOfTextAndBehindTheStatus) {
  const LoopbackServer text([](const Received&, Connection& peer) {
    peer.reply(400, {{"Content-Type", "text/plain"}}, "this port speaks TLS; use https://\n");
  });
  EXPECT_THAT(get_manifest(text).error().message(), HasSubstr("(status 400: this port speaks TLS; use https://)"));
  const LoopbackServer reason([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    (void)peer.send("HTTP/1.1 403 Forbidden: \x1b[31mnot today\r\nContent-Length: 0\r\n\r\n");
  });
  const std::string told = get_manifest(reason).error().message();
  EXPECT_THAT(told, HasSubstr("not today"));
  EXPECT_EQ(told.find('\x1b'), std::string::npos);
}

TEST(Retry, ALongRetryAfterIsAnErrorAtOnce) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(429, {{"Retry-After", "3600"}}, R"({"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]})");
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr("too many requests"));
  EXPECT_THAT(got.error().message(), HasSubstr("slow down"));
  EXPECT_EQ(got.error().hint(), "it asks to come back in 3600 s");
  EXPECT_EQ(got.error().retry_after(), 3600);
  EXPECT_EQ(count(server, "/v2/app/"), 1U);
}

TEST(Retry, WaitingIsCancelled) {
  CancelSource source;
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(503, {{"Retry-After", "60"}}, "");
    source.fire("stopped by the test");
  });
  const auto got = get_manifest(server, source.cancel());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kCancelled);
}

TEST(Retry, AFullRegistryIsNotTriedAgain) {
  const LoopbackServer server([](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(507, {}, R"({"errors":[{"code":"DENIED","message":"the registry's store is full"}]})");
  });
  const auto got = get_manifest(server);
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().message(), HasSubstr("store is full"));
  EXPECT_THAT(got.error().hint(), HasSubstr("no room in the registry"));
  EXPECT_EQ(count(server, "/v2/app/"), 1U);
}

TEST(Retry, AWaitIsTold) {
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.target == "/v2/") return peer.reply(200, {}, "");
    peer.reply(503, {{"Retry-After", "60"}}, "");
  });
  CancelSource source;
  const Client client = make_client(server.authority());
  std::vector<std::string> lines;
  client.on_wait([&](const std::string& line) {
    lines.push_back(line);
    source.fire("the test does not wait");
  });
  const auto name = name_at(server);
  EXPECT_EQ(client.repository(name).manifest(name, source.cancel()).error().code(), Code::kCancelled);
  EXPECT_THAT(lines, ElementsAre(fmt::format("{0} failed to serve the manifest of {0}/app:1 (status 503); trying again "
                                             "in 60 s",
                                             server.authority())));
}

TEST(Retry, AnUploadStartsOver) {
  std::atomic<int> posts = 0;
  std::string got;
  const LoopbackServer server([&](const Received& request, Connection& peer) {
    if (request.method == "HEAD") return peer.send("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"), void();
    if (request.method == "POST") return peer.reply(202, {{"Location", fmt::format("/place/{}", ++posts)}}, "");
    if (request.method == "PUT" && posts < 3) return peer.reply(500, {}, "");
    got = request.body;
    peer.reply(request.method == "PUT" ? 201 : 200, {}, "");
  });
  const auto sent = upload(make_client("x"), server, "blob");
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_EQ(got, "blob");
  EXPECT_EQ(posts, 3);
}

TEST(Retry, AHostThatIsNotThere) {
  const auto ref = oci::Reference::parse("127.0.0.1:1/app:1").value();
  const auto got = make_client("x").repository(ref).manifest(ref, {});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kUnavailable);
  EXPECT_THAT(got.error().message(), HasSubstr("cannot connect to 127.0.0.1:1: Connection refused"));
}

}  // namespace
}  // namespace slipway::registry
