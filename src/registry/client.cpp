#include "registry/client.hpp"

#include <map>

#include "base/text.hpp"
#include "registry/repository.hpp"

namespace slipway::registry {
namespace {

/// One Accept line for all that we read. Schema 1 is not among it: what it would give has no digest of its bytes.
http::Header accept_manifests() {
  using namespace oci::media_type;
  return {"Accept", fmt::format("{}, {}, {}, {}", kOciIndex, kDockerList, kOciManifest, kDockerManifest)};
}

/// "application/json; charset=utf-8" → "application/json".
std::string media_type_of(const http::Headers& headers) {
  const std::string value = headers.find("Content-Type").value_or("");
  return lower(trim(std::string_view(value).substr(0, value.find(';'))));
}

oci::Digest digest_of(std::string_view bytes, oci::Algorithm algorithm) {
  oci::Hasher hash(algorithm);
  hash.update(bytes);
  return hash.finish();
}

}  // namespace

Result<ClientOptions> ClientOptions::from_environment(const Environment& environment) {
  ClientOptions options;
  options.credentials = TRY(CredentialStore::load(environment));
  options.ca_file = environment("SSL_CERT_FILE").value_or("");
  options.ca_directory = environment("SSL_CERT_DIR").value_or("");
  options.user_agent = "slipway/" SLIPWAY_VERSION;
  return options;
}

struct Client::State {
  ClientOptions options;
  std::shared_ptr<const Transport> transport;
  Synced<std::map<std::pair<std::string, Trust>, std::shared_ptr<Host>>> hosts;
};

Client::Client(std::shared_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::make(ClientOptions options) {
  if (options.parallel_transfers < 1) return fail(Code::kInvalidArgument, "parallel transfers must be at least 1");
  auto state = std::make_shared<State>();
  const http::ClientOptions http{.user_agent = options.user_agent,
                                 .ca_file = options.ca_file,
                                 .ca_directory = options.ca_directory,
                                 .silence_timeout_ms = options.silence_timeout_ms};
  state->transport =
      std::make_shared<const Transport>(http, options.certificate_directories, RetryPolicy{options.first_retry_ms});
  state->options = std::move(options);
  return Client(std::move(state));
}

int Client::parallel_transfers() const { return state_->options.parallel_transfers; }

Repository Client::repository(const oci::Reference& reference, Trust trust) const {
  const std::string& registry = reference.registry();
  auto hosts = state_->hosts.lock();
  auto& host = (*hosts)[{registry, trust}];
  if (!host)
    host = std::make_shared<Host>(state_->transport, registry, state_->options.credentials.find(registry), trust);
  return Repository(std::make_shared<Repository::State>(host, reference.repository()));
}

Status Client::check_login(const std::string& registry, const Credential& credential, const Cancel& cancel) const {
  Host host(state_->transport, registry, credential);
  auto reply = host.ask({.location = "/v2/", .what = "a login", .accept = {200}}, cancel);
  if (reply) return {};
  Error error = std::move(reply).error();
  if (error.code() == Code::kUnauthenticated) error.with_hint("check the user name and the password or token");
  return std::unexpected(std::move(error));
}

Repository::Repository(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<Document> Repository::manifest(const oci::Reference& reference, const Cancel& cancel) const {
  const auto& wanted = reference.digest();
  const std::string what = "the manifest of " + reference.familiar();
  const Reply reply =
      TRY(state_->host->ask({.location = state_->path("manifests/" + (wanted ? wanted->text() : reference.tag())),
                             .headers = {accept_manifests()},
                             .scopes = state_->pull(),
                             .what = what,
                             .accept = {200},
                             .body_limit = oci::kManifestLimit},
                            cancel));
  std::optional<oci::Digest> named = wanted;
  if (!named)
    if (const auto header = reply.headers.find("Docker-Content-Digest"))
      if (const auto digest = oci::Digest::parse(*header)) named = *digest;
  const oci::Digest digest = digest_of(reply.body, named ? named->algorithm() : oci::Algorithm::kSha256);
  if (named && *named != digest) {
    return fail(Code::kDataLoss, "{} from {} has digest {}, it should be {}", what, state_->host->registry(),
                digest.text(), named->text());
  }
  return Document{reply.body, media_type_of(reply.headers), digest};
}

Result<bool> Repository::State::exists(const std::string& location, const Scopes& scopes, const std::string& what,
                                       const Cancel& cancel) const {
  const Reply reply = TRY(host->ask({.method = "HEAD",
                                     .location = location,
                                     .headers = {accept_manifests()},
                                     .scopes = scopes,
                                     .what = what,
                                     .accept = {200, 404}},
                                    cancel));
  return reply.status == 200;
}

Result<bool> Repository::has_blob(const oci::Digest& digest, const Cancel& cancel) const {
  return state_->exists(state_->path("blobs/" + digest.text()), state_->pull(), state_->blob_name(digest), cancel);
}

Result<bool> Repository::has_manifest(const oci::Digest& digest, const Cancel& cancel) const {
  return state_->exists(state_->path("manifests/" + digest.text()), state_->pull(),
                        fmt::format("manifest {} of {}", digest.text(), state_->name), cancel);
}

}  // namespace slipway::registry
