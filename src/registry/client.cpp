#include "registry/client.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.hpp"
#include "registry/notices.hpp"
#include "registry/registry_config.hpp"
#include "registry/repository.hpp"

namespace slipway::registry {
namespace {

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

constexpr std::int64_t kWaitToTellMs = 1000;

void tell_wait(Notices& notices, const Error& error, std::int64_t wait_ms) {
  if (wait_ms < kWaitToTellMs) return;
  const auto listener = *notices.wait_listener.lock();
  if (listener) listener(fmt::format("{}; trying again in {} s", error.what(), (wait_ms + 500) / 1000));
}

}  // namespace

http::Header accept_manifests() {
  using namespace oci::media_type;
  return {"Accept", fmt::format("{}, {}, {}, {}", kOciIndex, kDockerList, kOciManifest, kDockerManifest)};
}

Result<ClientOptions> ClientOptions::from_environment(const Environment& environment, Variables variables) {
  ClientOptions options;
  options.credentials = TRY(CredentialStore::load(environment, std::move(variables)));
  TRY(read_registry_config(environment, options.rules, options.insecure));
  options.proxies = TRY(http::Proxies::from(environment));
  options.ca_file = environment("SSL_CERT_FILE").value_or("");
  options.ca_directory = environment("SSL_CERT_DIR").value_or("");
  options.user_agent = "slipway/" SLIPWAY_VERSION;
  return options;
}

struct Client::State {
  ClientOptions options;
  std::shared_ptr<const Transport> transport;
  std::shared_ptr<Notices> notices = std::make_shared<Notices>();
  Synced<std::map<std::pair<std::string, Access>, std::shared_ptr<Host>>> hosts;
  Synced<std::map<std::tuple<std::string, std::string, Access>, std::shared_ptr<MirrorHost>>> mirrors;

  std::shared_ptr<Host> host(const std::string& registry, Access access) {
    auto all = hosts.lock();
    auto& found = (*all)[{registry, access}];
    const auto lookup = [store = options.credentials, registry](const Cancel& cancel) {
      return store.find(registry, cancel);
    };
    if (!found) found = std::make_shared<Host>(transport, registry, lookup, access);
    return found;
  }

  /// `last`: nobody else is asked after it.
  std::shared_ptr<MirrorHost> mirror(const Mirror& mirror, bool last) {
    const Access access{.trust = rule_for(options.rules, options.insecure, mirror.registry).trust,
                        .plain = mirror.plain,
                        .patient = last};
    auto host_there = host(mirror.registry, access);
    auto all = mirrors.lock();
    auto& found = (*all)[{mirror.registry, mirror.prefix, access}];
    if (!found) {
      found = std::make_shared<MirrorHost>();
      found->host = std::move(host_there);
      found->prefix = mirror.prefix;
    }
    return found;
  }
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
                                 .proxies = options.proxies,
                                 .silence_timeout_ms = options.silence_timeout_ms};
  state->transport = std::make_shared<const Transport>(
      http, options.certificate_directories, options.rules, options.first_retry_ms, options.patience_ms,
      [notices = state->notices](const Error& error, std::int64_t ms) { tell_wait(*notices, error, ms); });
  state->options = std::move(options);
  return Client(std::move(state));
}

int Client::parallel_transfers() const { return state_->options.parallel_transfers; }

Repository Client::repository(const oci::Reference& reference, Trust trust) const {
  const RegistryRule rule = rule_for(state_->options.rules, state_->options.insecure, reference.registry());
  auto made = std::make_shared<Repository::State>();
  made->trust = std::max(rule.trust, trust);
  made->host = state_->host(reference.registry(), {.trust = made->trust});
  made->name = reference.repository();
  made->origin_fallback = rule.origin_fallback || rule.mirrors.empty();
  made->notices = state_->notices;
  for (const auto& mirror : rule.mirrors) {
    const bool last = !made->origin_fallback && &mirror == &rule.mirrors.back();
    auto there = std::make_shared<Repository::State>();
    auto host = state_->mirror(mirror, last);
    there->host = host->host;
    there->name = mirror.prefix.empty() ? made->name : mirror.prefix + "/" + made->name;
    made->mirrors.push_back({std::move(host), std::move(there)});
  }
  return Repository(std::move(made));
}

std::vector<std::string> Client::take_notices() const { return std::exchange(*state_->notices->lines.lock(), {}); }

void Client::on_wait(std::function<void(const std::string& line)> listener) const {
  *state_->notices->wait_listener.lock() = std::move(listener);
}

Status Client::check_login(const std::string& registry, const Credential& credential, const Cancel& cancel) const {
  const auto lookup = [&credential](const Cancel&) -> Result<std::optional<Credential>> { return credential; };
  Host host(state_->transport, registry, lookup,
            {.trust = rule_for(state_->options.rules, state_->options.insecure, registry).trust});
  auto reply = host.ask({.location = "/v2/", .what = "a login", .accept = {200}}, cancel);
  if (reply) return {};
  Error error = std::move(reply).error();
  if (error.code() == Code::kUnauthenticated) error.with_hint("check the user name and the password or token");
  return std::unexpected(std::move(error));
}

Result<Document> Repository::State::manifest(const oci::Reference& reference, const Cancel& cancel) const {
  const auto& wanted = reference.digest();
  const std::string what = "the manifest of " + reference.familiar();
  const Reply reply = TRY(host->ask({.location = path("manifests/" + (wanted ? wanted->text() : reference.tag())),
                                     .headers = headers({accept_manifests()}),
                                     .scopes = pull(),
                                     .what = what,
                                     .accept = {200},
                                     .body_limit = oci::kManifestLimit},
                                    cancel));
  if (is_web_page(reply.headers))
    return std::unexpected(
        Error(Code::kFailedPrecondition, fmt::format("{} answers with a web page (status {}) where {} should be",
                                                     host->registry(), reply.status, what))
            .with_hint("is it a registry's address? A proxy, or a page to log in at, may be in between"));
  std::optional<oci::Digest> named = wanted;
  if (!named)
    if (const auto header = reply.headers.find("Docker-Content-Digest"))
      if (const auto digest = oci::Digest::parse(*header)) named = *digest;
  const oci::Digest digest = digest_of(reply.body, named ? named->algorithm() : oci::Algorithm::kSha256);
  if (named && *named != digest) {
    return fail(Code::kDataLoss, "{} from {} has digest {}, it should be {}", what, host->registry(), digest.text(),
                named->text());
  }
  return Document{reply.body, media_type_of(reply.headers), digest};
}

Result<std::optional<Named>> Repository::State::look_up(const oci::Reference& reference, const Cancel& cancel) const {
  const auto& wanted = reference.digest();
  const Reply reply = TRY(host->ask({.method = "HEAD",
                                     .location = path("manifests/" + (wanted ? wanted->text() : reference.tag())),
                                     .headers = {accept_manifests()},
                                     .scopes = pull(),
                                     .what = "the manifest of " + reference.familiar(),
                                     .accept = {200, 400, 405, 501}},
                                    cancel));
  if (reply.status != 200) return std::nullopt;
  std::string media_type = media_type_of(reply.headers);
  if (wanted) return Named{*wanted, std::move(media_type)};
  const auto header = reply.headers.find("Docker-Content-Digest");
  const auto digest = header ? oci::Digest::parse(*header) : fail(Code::kNotFound, "no digest");
  if (!digest) return std::nullopt;
  return Named{*digest, std::move(media_type)};
}

namespace {

Ask ask_whether(const std::string& location, const Scopes& scopes, const std::string& what) {
  return {.method = "HEAD",
          .location = location,
          .headers = {accept_manifests()},
          .scopes = scopes,
          .what = what,
          .accept = {200, 404}};
}

}  // namespace

Attempt<bool> Repository::State::has(const std::string& location, const Scopes& scopes, const std::string& what,
                                     const Cancel& cancel) const {
  auto reply = host->exchange(ask_whether(location, scopes, what), cancel);
  if (!reply) return std::unexpected(std::move(reply).error());
  return reply->status == 200;
}

Result<bool> Repository::State::exists(const std::string& location, const Scopes& scopes, const std::string& what,
                                       const Cancel& cancel) const {
  const Reply reply = TRY(host->ask(ask_whether(location, scopes, what), cancel));
  return reply.status == 200;
}

// These two are asked before a push: mirrors have no say there.
Result<bool> Repository::has_blob(const oci::Digest& digest, const Cancel& cancel) const {
  return state_->exists(state_->path("blobs/" + digest.text()), state_->pull(), state_->blob_name(digest), cancel);
}

Result<bool> Repository::has_manifest(const oci::Digest& digest, const Cancel& cancel) const {
  return state_->exists(state_->path("manifests/" + digest.text()), state_->pull(),
                        fmt::format("manifest {} of {}", digest.text(), state_->name), cancel);
}

}  // namespace slipway::registry
