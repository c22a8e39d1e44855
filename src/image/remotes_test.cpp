// Mirrors before their registry, and the proof by HEAD: what is asked of whom, and what of it is believed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "http/loopback_server.hpp"
#include "image/image_fixture.hpp"
#include "registry/base64.hpp"

namespace slipway::image {
namespace {

using http::testing::Connection;
using http::testing::LoopbackServer;
using http::testing::Received;
using testing::build;
using testing::Built;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::reference;
using testing::tar_of;
using ::testing::UnorderedElementsAre;
using testing::Workplace;

/// A registry of one image under `repository`:1, whose answers a test may change, and which counts.
class Server {
 public:
  explicit Server(const Built& built, std::string repository = "team/app")
      : repository_(std::move(repository)), server_([this](const Received& r, Connection& p) { answer(r, p); }) {
    put("manifests/1", built.manifest, built.media_type);
    put("manifests/" + built.digest().text(), built.manifest, built.media_type);
    put("blobs/" + oci::Digest::of(built.config).text(), built.config);
    for (const auto& layer : built.layers) put("blobs/" + oci::Digest::of(layer).text(), layer);
  }
  void put(const std::string& path, std::string body, std::string type = "application/octet-stream") {
    answers_["/v2/" + repository_ + "/" + path] = {200, std::move(body), std::move(type)};
  }
  void refuse(const std::string& path, int status) { answers_["/v2/" + repository_ + "/" + path] = {status, "", ""}; }
  void refuse_all(int status) { status_ = status; }
  void want(const std::string& user, const std::string& password) {
    wanted_ = "Basic " + registry::base64_encode(user + ":" + password);
  }
  /// "GET manifests/1" of all requests but the ping, in order.
  std::vector<std::string> asked() const {
    std::vector<std::string> all;
    for (const auto& request : server_.received()) {
      const std::string prefix = "/v2/" + repository_ + "/";
      if (request.target == "/v2/") continue;
      all.push_back(request.method + " " +
                    (request.target.starts_with(prefix) ? request.target.substr(prefix.size()) : request.target));
    }
    return all;
  }
  std::vector<std::string> asked_since(std::size_t before) const {
    const auto all = asked();
    return {all.begin() + static_cast<std::ptrdiff_t>(std::min(before, all.size())), all.end()};
  }
  std::string authority() const { return server_.authority(); }
  const LoopbackServer& server() const { return server_; }

 private:
  struct Answer {
    int status;
    std::string body, type;
  };
  void answer(const Received& request, Connection& peer) {
    if (!wanted_.empty() && request.headers.find("Authorization") != wanted_)
      return reply(request, peer, {401, "", ""}, {{"WWW-Authenticate", "Basic realm=\"x\""}});
    if (request.target == "/v2/") return reply(request, peer, {200, "{}", "application/json"});
    if (status_ != 200) return reply(request, peer, {status_, "", ""});
    const auto found = answers_.find(request.target);
    reply(request, peer, found == answers_.end() ? Answer{404, "", ""} : found->second);
  }
  static void reply(const Received& request, Connection& peer, const Answer& answer,
                    std::vector<http::Header> headers = {}) {
    if (!answer.type.empty()) headers.push_back({"Content-Type", answer.type});
    if (request.target.find("/manifests/") != std::string::npos && answer.status == 200)
      headers.push_back({"Docker-Content-Digest", oci::Digest::of(answer.body).text()});
    if (request.method != "HEAD") return peer.reply(answer.status, headers, answer.body);
    std::string text = fmt::format("HTTP/1.1 {} x\r\nContent-Length: {}\r\n", answer.status, answer.body.size());
    for (const auto& header : headers) text += header.name + ": " + header.value + "\r\n";
    peer.send(text + "\r\n");
  }

  std::string repository_;
  std::string wanted_;
  int status_ = 200;
  std::map<std::string, Answer> answers_;
  LoopbackServer server_;
};

std::string blob(const std::string& bytes) { return "blobs/" + oci::Digest::of(bytes).text(); }

registry::CredentialStore joe_for(const std::vector<std::string>& registries) {
  std::string auths;
  for (const auto& name : registries)
    auths += fmt::format(R"({}"{}": {{"username": "joe", "password": "s3cret"}})", auths.empty() ? "" : ",", name);
  return registry::CredentialStore::load([&](const std::string& name) -> std::optional<std::string> {
           if (name != "DOCKER_AUTH_CONFIG") return std::nullopt;
           return R"({"auths": {)" + auths + "}}";
         })
      .value();
}

class Mirrors : public ::testing::Test {
 protected:
  registry::ClientOptions options(const std::string& prefix = "", bool fallback = true) {
    registry::ClientOptions made;
    auto& rule = made.rules[origin.authority()];
    rule.mirrors = {{mirror.authority(), prefix, true}};
    rule.origin_fallback = fallback;
    return made;
  }
  Result<Resolved> pull(Workplace& place) {
    return place.images().pull(reference(origin.authority() + "/team/app:1"), oci::Platform::host(), place, {});
  }
  const Built built = build({tar_of({{"a", "one"}}), tar_of({{"b", std::string(500'000, 'b')}})});
  Server origin{built};
  Server mirror{built};
};

TEST_F(Mirrors, ServeEverythingAndTheOriginIsNotAsked) {
  Workplace place(options());
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_THAT(origin.server().received(), IsEmpty());
  EXPECT_THAT(mirror.asked(), UnorderedElementsAre("GET manifests/1", "GET " + blob(built.config),
                                                   "GET " + blob(built.layers[0]), "GET " + blob(built.layers[1])));
  EXPECT_THAT(place.warnings(), IsEmpty());
}

TEST_F(Mirrors, BelowAPrefix) {
  Server below(built, "proxy/hub/team/app");
  registry::ClientOptions made;
  made.rules[origin.authority()].mirrors = {{below.authority(), "proxy/hub", true}};
  Workplace place(std::move(made));
  ASSERT_TRUE(pull(place));
  EXPECT_THAT(origin.server().received(), IsEmpty());
}

TEST_F(Mirrors, WhatTheyDoNotHaveComesFromTheOrigin) {
  mirror.refuse(blob(built.layers[1]), 404);
  Workplace place(options());
  ASSERT_TRUE(pull(place));
  EXPECT_THAT(origin.asked(), ElementsAre("GET " + blob(built.layers[1])));
  EXPECT_THAT(place.warnings(), IsEmpty()) << "a mirror need not have everything";
}

TEST_F(Mirrors, AnyTroubleOfTheirsGoesToTheOrigin) {
  for (const int status : {401, 403, 404, 429, 500, 503}) {
    mirror.refuse_all(status);
    Workplace place(options());
    const auto pulled = pull(place);
    ASSERT_TRUE(pulled) << status << ": " << pulled.error().message();
    EXPECT_EQ(place.warnings().empty(), status == 404) << status;
  }
}

TEST_F(Mirrors, OneThatIsAwayIsAskedOnce) {
  mirror.refuse_all(503);
  Workplace place(options());
  ASSERT_TRUE(pull(place));
  EXPECT_THAT(mirror.asked(), ElementsAre("GET manifests/1"));
  ASSERT_EQ(place.warnings().size(), 1U);
  EXPECT_THAT(place.warnings()[0], HasSubstr(mirror.authority()));
}

TEST_F(Mirrors, OneThatDoesNotExist) {
  registry::ClientOptions made;
  {
    const Server gone(built);
    made.rules[origin.authority()].mirrors = {{gone.authority(), "", true}};
  }
  Workplace place(std::move(made));
  const auto pulled = pull(place);
  EXPECT_TRUE(pulled) << pulled.error().message();
}

TEST_F(Mirrors, WrongBytesAreReplacedByTheOriginsAndNothingOfThemStays) {
  const Built other = build({tar_of({{"evil", "evil"}}), tar_of({{"b", std::string(500'000, 'x')}})});
  for (std::size_t i = 0; i < 2; ++i) mirror.put(blob(built.layers[i]), other.layers[i]);
  mirror.put(blob(built.config), other.config + std::string(built.config.size(), ' '));
  Workplace place(options());
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  const auto chain = place.images().unpack(*pulled, place, 1, {}).value();
  EXPECT_EQ(sys::read_file(chain[0].directory + "/a", 100).value_or(""), "one");
  EXPECT_FALSE(sys::read_file(chain[0].directory + "/evil", 100)) << "of the wrong bytes";
  EXPECT_EQ(sys::read_file(chain[1].directory + "/b", 1'000'000).value_or("")[0], 'b');
  EXPECT_TRUE(place.store.fsck(false, {}).value().empty());
}

TEST_F(Mirrors, WrongBytesOfTheRightLength) {
  std::string flipped = built.layers[1];
  flipped[flipped.size() / 2] ^= 1;
  mirror.put(blob(built.layers[1]), flipped);
  Workplace place(options());
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_THAT(place.warnings(), Contains(HasSubstr("wrong bytes")));
  const auto chain = place.images().unpack(*pulled, place, 1, {}).value();
  EXPECT_EQ(sys::read_file(chain[1].directory + "/b", 1'000'000).value_or(""), std::string(500'000, 'b'));
}

TEST_F(Mirrors, APageInPlaceOfAManifestIsPassedOver) {
  for (const char* type : {"text/html", "application/json", "application/vnd.oci.image.manifest.v1+json"}) {
    mirror.put("manifests/1", "<html>please log in</html>", type);
    Workplace place(options());
    const auto pulled = pull(place);
    EXPECT_TRUE(pulled) << type << ": " << pulled.error().message();
  }
}

TEST_F(Mirrors, WhatTheyServeUnderATagIsTheTags) {
  const Built newer = build({tar_of({{"a", "newer"}})});
  Server other(newer);
  registry::ClientOptions made;
  made.rules[origin.authority()].mirrors = {{other.authority(), "", true}};
  Workplace place(std::move(made));
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled);
  EXPECT_EQ(pulled->target, newer.digest());
}

TEST_F(Mirrors, ByDigestTheyAreVerified) {
  const Built other = build({tar_of({{"a", "other"}})});
  mirror.put("manifests/" + built.digest().text(), other.manifest, other.media_type);
  Workplace place(options());
  const auto ref = reference(origin.authority() + "/team/app@" + built.digest().text());
  const auto pulled = place.images().pull(ref, oci::Platform::host(), place, {});
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_EQ(pulled->target, built.digest());
}

TEST_F(Mirrors, WithoutFallbackTheOriginIsNeverAsked) {
  mirror.refuse(blob(built.layers[1]), 404);
  Workplace place(options("", false));
  const auto pulled = pull(place);
  ASSERT_FALSE(pulled);
  EXPECT_THAT(pulled.error().message(), HasSubstr(mirror.authority()));
  EXPECT_THAT(origin.server().received(), IsEmpty());
}

TEST_F(Mirrors, EachGetsItsOwnCredentialsOnly) {
  origin.want("joe", "s3cret");
  Workplace stranger(options());
  mirror.refuse_all(404);
  ASSERT_FALSE(pull(stranger));
  auto made = options();
  made.credentials = joe_for({origin.authority()});
  Workplace place(std::move(made));
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  for (const auto& request : mirror.server().received()) EXPECT_FALSE(request.headers.find("Authorization"));
}

TEST_F(Mirrors, PushesGoToTheOrigin) {
  Workplace place(options());
  ASSERT_TRUE(pull(place));
  const auto before = mirror.server().received().size();
  const auto ref = reference(origin.authority() + "/team/app:2");
  EXPECT_FALSE(place.images().push(built.digest(), built.media_type, ref, place, {})) << "this server takes none";
  EXPECT_EQ(mirror.server().received().size(), before);
  EXPECT_THAT(origin.asked(), Contains(HasSubstr("HEAD blobs/")));
}

// --- the proof by HEAD

class Proof : public ::testing::Test {
 protected:
  explicit Proof() { server.want("joe", "s3cret"); }
  Result<Resolved> pull(registry::Client& client, const std::string& scope, const std::string& name = "") {
    Images images{place.store, place.lease, client, scope};
    const auto ref = reference(name.empty() ? server.authority() + "/team/app:1" : name);
    return images.pull(ref, oci::Platform::host(), place, {});
  }
  static registry::Client client_of(registry::CredentialStore credentials) {
    registry::ClientOptions options;
    options.credentials = std::move(credentials);
    options.first_retry_ms = 1;
    options.certificate_directories = {};
    return registry::Client::make(std::move(options)).value();
  }
  const Built built = build({tar_of({{"a", "one"}}), tar_of({{"b", "two"}})});
  Server server{built};
  Workplace place;
  registry::Client joe = client_of(joe_for({server.authority()}));
  registry::Client stranger = client_of({});
};

TEST_F(Proof, WhatIsHereCostsOneHeadWithOwnCredentials) {
  ASSERT_TRUE(pull(joe, "default"));
  for (const char* scope : {"default", "job-1", "job-2", "job-1"}) {
    registry::Client own = client_of(joe_for({server.authority()}));
    const auto before = server.asked().size();
    const auto pulled = pull(own, scope);
    ASSERT_TRUE(pulled) << pulled.error().message();
    EXPECT_EQ(pulled->target, built.digest());
    EXPECT_EQ(pulled->target_media_type, built.media_type);
    EXPECT_THAT(server.asked_since(before), ElementsAre("HEAD manifests/1")) << scope;
  }
}

TEST_F(Proof, ByDigestToo) {
  ASSERT_TRUE(pull(joe, "default"));
  const auto before = server.asked().size();
  ASSERT_TRUE(pull(joe, "job-1", server.authority() + "/team/app@" + built.digest().text()));
  EXPECT_THAT(server.asked_since(before), ElementsAre("HEAD manifests/" + built.digest().text()));
}

TEST_F(Proof, WithoutCredentialsItIsRefused) {
  ASSERT_TRUE(pull(joe, "default"));
  for (const char* scope : {"default", "job-1"}) {
    for (const std::string& name :
         {server.authority() + "/team/app:1", server.authority() + "/team/app@" + built.digest().text()}) {
      const auto pulled = pull(stranger, scope, name);
      ASSERT_FALSE(pulled) << scope << " " << name;
      EXPECT_EQ(pulled.error().code(), Code::kUnauthenticated) << pulled.error().message();
    }
  }
  EXPECT_FALSE(place.store.find_name("job-1", reference(server.authority() + "/team/app:1")).value());
}

TEST_F(Proof, ATagThatMovedIsFetched) {
  ASSERT_TRUE(pull(joe, "default"));
  const Built newer = build({tar_of({{"a", "one"}}), tar_of({{"b", "three"}})});
  server.put("manifests/1", newer.manifest, newer.media_type);
  server.put(blob(newer.layers[1]), newer.layers[1]);
  server.put(blob(newer.config), newer.config);
  const auto before = server.asked().size();
  const auto pulled = pull(joe, "job-1");
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_EQ(pulled->target, newer.digest());
  EXPECT_THAT(server.asked_since(before),
              UnorderedElementsAre("HEAD manifests/1", "GET manifests/1", "GET " + blob(newer.config),
                                   "GET " + blob(newer.layers[1])));
}

/// Knowing digests is no proof: somebody else's registry may name them, and may even be asked for them.
TEST_F(Proof, AnotherRegistryHasToServeTheBytes) {
  ASSERT_TRUE(pull(joe, "default"));
  Server thief(built);
  const std::string name = thief.authority() + "/team/app:1";
  thief.refuse(blob(built.layers[1]), 404);
  const auto refused = pull(stranger, "job-1", name);
  ASSERT_FALSE(refused) << "it has not got that layer";
  EXPECT_EQ(refused.error().code(), Code::kNotFound) << refused.error().message();
  thief.put(blob(built.layers[1]), built.layers[1]);
  const auto before = thief.asked().size();
  ASSERT_TRUE(pull(stranger, "job-1", name));
  EXPECT_THAT(thief.asked_since(before), Contains("GET " + blob(built.layers[1])));
  const auto again = thief.asked().size();
  ASSERT_TRUE(pull(stranger, "job-1", name));
  EXPECT_THAT(thief.asked_since(again), ElementsAre("HEAD manifests/1")) << "now it was proven";
  ASSERT_TRUE(pull(stranger, "default", name)) << "the owner of the store may use what is here";
}

/// A chain's ID stands in a config, which anybody can write.
TEST_F(Proof, AnotherRegistryCanNotNameASnapshot) {
  ASSERT_TRUE(pull(joe, "default"));
  const Built other = build({tar_of({{"a", "other"}}), tar_of({{"b", "other"}})});
  const auto type = oci::media_type::layer(oci::Family::kOci, oci::Compression::kGzip);
  const auto manifest =
      oci::Manifest::make(oci::Family::kOci, testing::describe(built.config, oci::media_type::kOciConfig),
                          {testing::describe(other.layers[0], type), testing::describe(other.layers[1], type)});
  Server thief(other);
  thief.put("manifests/1", manifest.raw(), manifest.media_type());
  thief.put(blob(built.config), built.config);
  for (const char* scope : {"job-1", "default"}) {
    const auto pulled = pull(stranger, scope, thief.authority() + "/team/app:1");
    ASSERT_FALSE(pulled) << scope;
    EXPECT_EQ(pulled.error().code(), Code::kDataLoss) << pulled.error().message();
  }
}

TEST_F(Proof, TheSameOfLayersThatHaveNoBytesAnywhere) {
  ASSERT_TRUE(pull(joe, "default"));
  const auto type = oci::media_type::layer(oci::Family::kOci, oci::Compression::kGzip);
  const auto manifest =
      oci::Manifest::make(oci::Family::kOci, testing::describe(built.config, oci::media_type::kOciConfig),
                          {testing::describe("nowhere", type), testing::describe("nor is this one", type)});
  Server thief(built);
  thief.put("manifests/1", manifest.raw(), manifest.media_type());
  Images images{place.store, place.lease, stranger, "default"};
  const auto name = reference(thief.authority() + "/team/app:1");
  const auto image = images.resolve(name, oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  const auto trees = images.unpack(*image, place, 1, {});
  ASSERT_FALSE(trees) << "the trees of another image";
  EXPECT_EQ(trees.error().code(), Code::kNotFound) << trees.error().message();
}

TEST_F(Proof, ARegistryWithoutHeadIsAsked) {
  ASSERT_TRUE(pull(joe, "default"));
  Server plain(built);
  registry::Client client = client_of({});
  const std::string name = plain.authority() + "/team/app:1";
  ASSERT_TRUE(pull(client, "default", name));
  const auto before = plain.asked().size();
  plain.refuse_all(405);
  EXPECT_FALSE(pull(client, "default", name)) << "GET is refused as well";
  EXPECT_THAT(plain.asked_since(before), ElementsAre("HEAD manifests/1", "GET manifests/1"));
}

}  // namespace
}  // namespace slipway::image
