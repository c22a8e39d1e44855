// The client against Debian's docker-registry: anonymous, Basic, tokens, TLS. Lies are in hostile_test.cpp.
#include "registry/client.hpp"

#include <gtest/gtest.h>

#include "registry/docker_registry.hpp"

namespace slipway::registry {
namespace {

using testing::DockerRegistry;
using testing::KeyPair;
using testing::TokenServer;

Environment config_for(const std::string& registry, const Credential& credential) {
  return [=](const std::string& name) -> std::optional<std::string> {
    if (name != "DOCKER_AUTH_CONFIG") return std::nullopt;
    return fmt::format(R"({{"auths": {{"{}": {{"username": "{}", "password": "{}", "identitytoken": "{}"}}}}}})",
                       registry, credential.username, credential.password, credential.identity_token);
  };
}

Client make_client(const std::string& registry = "", const Credential& credential = {}) {
  ClientOptions options;
  if (!registry.empty()) options.credentials = CredentialStore::load(config_for(registry, credential)).value();
  options.first_retry_ms = 1;
  options.certificate_directories = {};
  return Client::make(std::move(options)).value();
}

oci::Reference reference(const std::string& text) { return oci::Reference::parse(text).value(); }

oci::Descriptor describe(std::string_view bytes, std::string_view type = oci::media_type::kOciLayer) {
  return {.media_type = std::string(type), .digest = oci::Digest::of(bytes), .size = std::ssize(bytes)};
}

Repository::OpenAt opener(const std::string& bytes) {
  return [bytes](std::int64_t offset) -> Result<layer::Source> {
    return layer::Source(
        [bytes, at = static_cast<std::size_t>(offset)](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
          const std::size_t taken = bytes.copy(buffer, size, at);
          at += taken;
          return taken;
        });
  };
}

Status upload(const Repository& repository, const std::string& bytes,
              const std::optional<std::string>& mount_from = std::nullopt) {
  return repository.upload(describe(bytes), opener(bytes), mount_from, nullptr, {});
}

Result<std::string> download(const Repository& repository, const oci::Descriptor& descriptor) {
  std::string bytes;
  TRY(repository.blob(descriptor,
                      [&](std::string_view piece) -> Status {
                        bytes += piece;
                        return {};
                      },
                      {}));
  return bytes;
}

/// A manifest whose one layer and config are `layer` and `{}`, with both uploaded.
Result<std::string> push_image(const Repository& repository, const std::string& layer, const std::string& tag) {
  TRY(upload(repository, layer));
  TRY(upload(repository, "{}"));
  const auto manifest =
      oci::Manifest::make(oci::Family::kOci, describe("{}", oci::media_type::kOciConfig), {describe(layer)});
  TRY(repository.put_manifest(manifest.raw(), manifest.media_type(), tag, {}));
  return manifest.raw();
}

#define START_OR_SKIP(name, ...)                                                                 \
  auto name##_or_not = __VA_ARGS__;                                                              \
  if (!name##_or_not) {                                                                          \
    ASSERT_EQ(name##_or_not.error().code(), Code::kNotFound) << name##_or_not.error().message(); \
    GTEST_SKIP() << name##_or_not.error().message();                                             \
  }                                                                                              \
  auto& name = *name##_or_not

TEST(Client, PushesAndPullsWithoutCredentials) {
  START_OR_SKIP(registry, DockerRegistry::start({}));
  const Client client = make_client();
  const auto ref = reference(registry.authority() + "/team/app:1");
  const Repository repository = client.repository(ref);
  const std::string layer(3'000'000, 'l');
  EXPECT_FALSE(repository.has_blob(oci::Digest::of(layer), {}).value());
  const auto raw = push_image(repository, layer, "1");
  ASSERT_TRUE(raw) << raw.error().message();
  EXPECT_TRUE(repository.has_blob(oci::Digest::of(layer), {}).value());
  EXPECT_TRUE(repository.has_manifest(oci::Digest::of(*raw), {}).value());

  const auto document = repository.manifest(ref, {});
  ASSERT_TRUE(document) << document.error().message();
  EXPECT_EQ(document->bytes, *raw);
  EXPECT_EQ(document->digest, oci::Digest::of(*raw));
  EXPECT_EQ(document->media_type, oci::media_type::kOciManifest);
  EXPECT_EQ(repository.manifest(ref.with_digest(document->digest), {})->bytes, *raw);
  EXPECT_EQ(download(repository, describe(layer)).value(), layer);
}

TEST(Client, UploadsOnceAndMountsFromANeighbour) {
  START_OR_SKIP(registry, DockerRegistry::start({}));
  const Client client = make_client();
  const std::string layer(100'000, 'l');
  const Repository first = client.repository(reference(registry.authority() + "/team/first"));
  const Repository second = client.repository(reference(registry.authority() + "/team/second"));
  ASSERT_TRUE(upload(first, layer));
  const auto never = [](std::int64_t) -> Result<layer::Source> {
    return fail(Code::kInternal, "no bytes were needed");
  };
  EXPECT_TRUE(first.upload(describe(layer), never, std::nullopt, nullptr, {}));
  EXPECT_FALSE(second.upload(describe(layer), never, std::nullopt, nullptr, {}));
  const auto mounted = second.upload(describe(layer), never, "team/first", nullptr, {});
  EXPECT_TRUE(mounted) << mounted.error().message();
  EXPECT_EQ(download(second, describe(layer)).value(), layer);
  ASSERT_TRUE(upload(second, "other", "team/has-it-not"));
  EXPECT_EQ(download(second, describe("other")).value(), "other");
}

TEST(Client, UploadTellsProgress) {
  START_OR_SKIP(registry, DockerRegistry::start({}));
  const std::string layer(1'000'000, 'l');
  std::int64_t last = 0;
  ASSERT_TRUE(make_client()
                  .repository(reference(registry.authority() + "/a"))
                  .upload(describe(layer), opener(layer), std::nullopt, [&](std::int64_t sent) { last = sent; }, {}));
  EXPECT_EQ(last, 1'000'000);
}

TEST(Client, MissingThingsAreNamed) {
  START_OR_SKIP(registry, DockerRegistry::start({}));
  const Client client = make_client();
  const auto ref = reference(registry.authority() + "/team/none:1");
  const auto missing = client.repository(ref).manifest(ref, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::kNotFound);
  EXPECT_EQ(missing.error().message(),
            fmt::format("{0} does not have the manifest of {0}/team/none:1 (status 404: manifest "
                        "unknown)",
                        registry.authority()));
  const auto blob = download(client.repository(ref), describe("x"));
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error().code(), Code::kNotFound);
}

TEST(Client, BasicCredentials) {
  START_OR_SKIP(registry, DockerRegistry::start({.basic = true}));
  const auto ref = reference(registry.authority() + "/team/app:1");
  const Client known = make_client(registry.authority(), {testing::kUser, testing::kPassword, ""});
  const auto raw = push_image(known.repository(ref), "layer", "1");
  ASSERT_TRUE(raw) << raw.error().message();
  EXPECT_EQ(known.repository(ref).manifest(ref, {})->bytes, *raw);

  const auto nobody = make_client().repository(ref).manifest(ref, {});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code(), Code::kUnauthenticated);
  EXPECT_EQ(nobody.error().hint(), "log in with `slipway login " + registry.authority() + "`");
  EXPECT_NE(nobody.error().what().find("wants credentials for the manifest of"), std::string::npos)
      << nobody.error().message();
  const auto wrong = make_client(registry.authority(), {testing::kUser, "wrong", ""}).repository(ref).manifest(ref, {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), Code::kUnauthenticated);
  EXPECT_NE(wrong.error().what().find("does not accept the credentials of \"joe\""), std::string::npos)
      << wrong.error().message();
  EXPECT_NE(wrong.error().hint().find("are in DOCKER_AUTH_CONFIG, which goes before"), std::string::npos)
      << wrong.error().hint();
}

TEST(Client, Tokens) {
  START_OR_SKIP(tokens, TokenServer::start());
  START_OR_SKIP(registry, DockerRegistry::start({.tokens = &tokens}));
  const auto ref = reference(registry.authority() + "/team/app:1");
  const Client known = make_client(registry.authority(), {testing::kUser, testing::kPassword, ""});
  const auto raw = push_image(known.repository(ref), "layer", "1");
  ASSERT_TRUE(raw) << raw.error().message();
  EXPECT_EQ(known.repository(ref).manifest(ref, {})->bytes, *raw);
  EXPECT_EQ(download(known.repository(ref), describe("layer")).value(), "layer");
  // One token for what pushing needs, one for what pulling needs, and nothing else.
  const std::vector<std::string> asked = tokens.log();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0], R"({"method": "GET", "known": true, "scopes": ["repository:team/app:pull,push"]})");
  EXPECT_EQ(asked[1], R"({"method": "GET", "known": true, "scopes": ["repository:team/app:pull"]})");

  const auto nobody = make_client().repository(ref).manifest(ref, {});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code(), Code::kUnauthenticated) << nobody.error().message();
  const auto open = reference(registry.authority() + "/public/app:1");
  ASSERT_TRUE(push_image(known.repository(open), "layer", "1"));
  EXPECT_TRUE(make_client().repository(open).manifest(open, {})) << "anonymous tokens";
  EXPECT_FALSE(upload(make_client().repository(open), "new"));

  const auto wrong = make_client(registry.authority(), {testing::kUser, "wrong", ""}).repository(ref).manifest(ref, {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), Code::kUnauthenticated);
  EXPECT_NE(wrong.error().message().find("incorrect username or password"), std::string::npos)
      << wrong.error().message();
}

TEST(Client, IdentityTokens) {
  START_OR_SKIP(tokens, TokenServer::start());
  START_OR_SKIP(registry, DockerRegistry::start({.tokens = &tokens}));
  const auto ref = reference(registry.authority() + "/team/app:1");
  const Client known = make_client(registry.authority(), {"<token>", "", testing::kRefreshToken});
  const auto raw = push_image(known.repository(ref), "layer", "1");
  ASSERT_TRUE(raw) << raw.error().message();
  EXPECT_EQ(tokens.log().at(0), R"({"method": "POST", "known": true, "scopes": ["repository:team/app:pull,push"]})");
  EXPECT_FALSE(make_client(registry.authority(), {"<token>", "", "stale"}).repository(ref).manifest(ref, {}));
}

TEST(Client, MountsWithTokensForBothRepositories) {
  START_OR_SKIP(tokens, TokenServer::start());
  START_OR_SKIP(registry, DockerRegistry::start({.tokens = &tokens}));
  const Client known = make_client(registry.authority(), {testing::kUser, testing::kPassword, ""});
  ASSERT_TRUE(upload(known.repository(reference(registry.authority() + "/team/first")), "layer"));
  const auto never = [](std::int64_t) -> Result<layer::Source> {
    return fail(Code::kInternal, "no bytes were needed");
  };
  const auto mounted = known.repository(reference(registry.authority() + "/team/second"))
                           .upload(describe("layer"), never, "team/first", nullptr, {});
  EXPECT_TRUE(mounted) << mounted.error().message();
}

TEST(Client, LoginIsVerified) {
  START_OR_SKIP(tokens, TokenServer::start());
  START_OR_SKIP(with_tokens, DockerRegistry::start({.tokens = &tokens}));
  START_OR_SKIP(with_basic, DockerRegistry::start({.basic = true}));
  const Client client = make_client();
  for (const auto& registry : {with_tokens.authority(), with_basic.authority()}) {
    const auto good = client.check_login(registry, {testing::kUser, testing::kPassword, ""}, {});
    EXPECT_TRUE(good) << good.error().message();
    const auto bad = client.check_login(registry, {testing::kUser, "wrong", ""}, {});
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code(), Code::kUnauthenticated);
    EXPECT_EQ(bad.error().message().find("wrong"), std::string::npos) << bad.error().message();
  }
}

TEST(Client, TlsIsTrustedByCertsDAndByNothingElse) {
  const auto directory = sys::TempDir::make("/tmp", "slipway-certs-").value();
  START_OR_SKIP(keys, KeyPair::make(directory.path()));
  START_OR_SKIP(registry, DockerRegistry::start({.tls = &keys}));
  const auto ref = reference(registry.authority() + "/team/app:1");

  const auto stranger = make_client().repository(ref).manifest(ref, {});
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().code(), Code::kFailedPrecondition) << stranger.error().message();
  EXPECT_NE(stranger.error().hint().find("certs.d"), std::string::npos);
  EXPECT_EQ(registry.log().find("GET"), std::string::npos) << "plain HTTP was tried after a bad certificate";

  const std::string mine = directory.path() + "/certs.d/" + registry.authority();
  ASSERT_TRUE(sys::make_directories(mine, 0755));
  ASSERT_TRUE(sys::replace_file(mine + "/ca.crt", sys::read_file(keys.certificate_file, 1 << 20).value(), 0644));
  ClientOptions options;
  options.certificate_directories = {directory.path() + "/absent", directory.path() + "/certs.d"};
  const Client trusting = Client::make(std::move(options)).value();
  const auto raw = push_image(trusting.repository(ref), "layer", "1");
  ASSERT_TRUE(raw) << raw.error().message();

  ClientOptions by_variable;
  by_variable.certificate_directories = {};
  by_variable.ca_file = keys.certificate_file;
  EXPECT_TRUE(Client::make(std::move(by_variable)).value().repository(ref).manifest(ref, {}));
}

/// As far as manifest() of a registry that has nothing gets: kNotFound is its answer.
Code answer_of(RegistryRules rules, const oci::Reference& ref, const char* insecure = nullptr) {
  ClientOptions options;
  options.rules = std::move(rules);
  options.certificate_directories = {};
  options.first_retry_ms = 1;
  if (insecure != nullptr) options.insecure.push_back(InsecureRegistry::parse(insecure).value());
  const auto got = Client::make(std::move(options)).value().repository(ref).manifest(ref, {});
  return got ? Code::kInternal : got.error().code();
}

TEST(Client, RulesSayWhomATlsRegistryIsBelievedToBe) {
  const auto directory = sys::TempDir::make("/tmp", "slipway-rules-").value();
  START_OR_SKIP(keys, KeyPair::make(directory.path()));
  START_OR_SKIP(registry, DockerRegistry::start({.tls = &keys}));
  const auto ref = reference(registry.authority() + "/team/app:1");
  const std::string& name = registry.authority();
  const std::string every(kEveryRegistry);
  EXPECT_EQ(answer_of({}, ref), Code::kFailedPrecondition);
  EXPECT_EQ(answer_of({{name, {.ca_file = keys.certificate_file}}}, ref), Code::kNotFound);
  EXPECT_EQ(answer_of({{every, {.ca_file = keys.certificate_file}}}, ref), Code::kNotFound);
  EXPECT_EQ(answer_of({{"other.example", {.ca_file = keys.certificate_file}}}, ref), Code::kFailedPrecondition);
  EXPECT_EQ(answer_of({{name, {.trust = Trust::kAnyCertificate}}}, ref), Code::kNotFound);
  EXPECT_EQ(answer_of({{every, {.trust = Trust::kAnyCertificate}}}, ref), Code::kNotFound);
  EXPECT_EQ(answer_of({{name, {}}, {every, {.trust = Trust::kAnyCertificate}}}, ref), Code::kFailedPrecondition)
      << "a registry's own rule counts alone";
  EXPECT_EQ(answer_of({}, ref, "127.0.0.0/8"), Code::kNotFound);
  EXPECT_EQ(answer_of({}, ref, "10.0.0.0/8"), Code::kFailedPrecondition);
}

TEST(Client, RulesSayWhoWeAreByCertificate) {
  const auto directory = sys::TempDir::make("/tmp", "slipway-rules-").value();
  START_OR_SKIP(keys, KeyPair::make(directory.path()));
  const auto own_directory = sys::TempDir::make("/tmp", "slipway-rules-").value();
  START_OR_SKIP(own, KeyPair::make(own_directory.path()));
  START_OR_SKIP(registry, DockerRegistry::start({.tls = &keys, .clients = &own}));
  const auto ref = reference(registry.authority() + "/team/app:1");
  RegistryRule rule{.ca_file = keys.certificate_file};
  EXPECT_NE(answer_of({{registry.authority(), rule}}, ref), Code::kNotFound) << "it wants a certificate";
  rule.certificate_file = own.certificate_file;
  rule.key_file = own.key_file;
  EXPECT_EQ(answer_of({{registry.authority(), rule}}, ref), Code::kNotFound);
}

TEST(Client, ACertificateNeedsItsKey) {
  const auto directory = sys::TempDir::make("/tmp", "slipway-certs-").value();
  ASSERT_TRUE(sys::make_directories(directory.path() + "/registry.example", 0755));
  ASSERT_TRUE(sys::replace_file(directory.path() + "/registry.example/client.cert", "x", 0644));
  ClientOptions options;
  options.certificate_directories = {directory.path()};
  const auto ref = reference("registry.example/a:1");
  const auto got = Client::make(std::move(options)).value().repository(ref).manifest(ref, {});
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().message().find("has no key \"client.key\""), std::string::npos) << got.error().message();
}

}  // namespace
}  // namespace slipway::registry
