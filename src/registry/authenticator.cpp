#include "registry/authenticator.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "registry/base64.hpp"
#include "registry/challenge.hpp"
#include "registry/token_reply.hpp"

namespace slipway::registry {
namespace {

std::string joined(const Scopes& scopes) { return join(scopes, " "); }

std::string basic(const Credential& credential) {
  return "Basic " + base64_encode(credential.username + ":" + credential.password);
}

Result<http::Url> check_realm(const std::string& text, const http::Url& registry, Trust trust) {
  auto realm = TRY(context(http::Url::parse(text), "while reading the token realm that {} names", registry.origin()));
  const bool loopback = registry.loopback() && realm.loopback();
  const bool plain = registry.scheme() == "http" && (loopback || trust == Trust::kAnybody);
  if (realm.scheme() == "https" || plain) return realm;
  return fail(Code::kPermissionDenied,
              "{} sends us to the token server {}, which is not https; no credentials go there", registry.origin(),
              printable(realm.origin()));
}

}  // namespace

Attempt<std::string> Authenticator::authorization(const Scopes& scopes, const Cancel& cancel) {
  // The lock is held while a token is fetched: whoever else needs one waits for it instead of asking too.
  auto state = state_.lock();
  if (state->kind != Kind::kNone && !state->looked_up) {
    auto credential = lookup_ ? lookup_(cancel) : std::nullopt;
    if (!credential)
      return give_up(std::move(credential).error().add_context("while looking for the credentials of " + registry_));
    state->credential = *std::move(credential);
    state->looked_up = true;
  }
  switch (state->kind) {
    case Kind::kNone:
      return std::string();
    case Kind::kBasic:
      return state->credential ? basic(*state->credential) : std::string();
    case Kind::kBearer:
      break;
  }
  const std::string key = joined(scopes);
  if (const auto found = state->tokens.find(key); found != state->tokens.end()) {
    if (monotonic_ms() < found->second.expires_ms) return "Bearer " + found->second.text;
    state->tokens.erase(found);
  }
  auto token = fetch_token(*state, scopes, cancel);
  if (!token) return std::unexpected(std::move(token).error());
  return "Bearer " + state->tokens.insert({key, *std::move(token)}).first->second.text;
}

Result<bool> Authenticator::challenged(const http::Headers& headers, const http::Url& base, const Scopes& scopes,
                                       const std::string& used) {
  std::vector<Challenge> challenges;
  for (const auto& value : headers.all("WWW-Authenticate"))
    for (auto& challenge : parse_challenges(value)) challenges.push_back(std::move(challenge));
  const auto find = [&](std::string_view scheme) {
    return std::find_if(challenges.begin(), challenges.end(), [&](const auto& c) { return c.scheme == scheme; });
  };
  auto state = state_.lock();
  if (const auto bearer = find("bearer"); bearer != challenges.end()) {
    const auto realm = check_realm(bearer->parameters["realm"], base, trust_);
    if (!realm) return std::unexpected(realm.error());
    if (state->realm && !state->realm->same_origin(*realm)) {
      return fail(Code::kPermissionDenied, "{} changed its token server from {} to {}", base.origin(),
                  printable(state->realm->origin()), printable(realm->origin()));
    }
    const auto found = state->tokens.find(joined(scopes));
    // Only the token that failed is dropped; another thread may have renewed it meanwhile.
    if (found != state->tokens.end() && used == "Bearer " + found->second.text) state->tokens.erase(found);
    state->kind = Kind::kBearer;
    state->realm = *realm;
    state->service = bearer->parameters["service"];
    return true;
  }
  if (find("basic") == challenges.end()) return false;
  state->kind = Kind::kBasic;
  return !state->looked_up || (state->credential && used != basic(*state->credential));
}

std::string Authenticator::kept_in() const {
  const auto state = state_.lock();
  return state->credential ? state->credential->kept_in : "";
}

std::string Authenticator::username() const {
  const auto state = state_.lock();
  return state->credential ? state->credential->username : "";
}

http::Request Authenticator::token_request(const State& state, const Scopes& scopes) const {
  http::Request request{.url = *state.realm, .headers = {{"Accept", "application/json"}}};
  const auto& credential = state.credential;
  if (credential && !credential->identity_token.empty()) {
    std::string form = "grant_type=refresh_token&client_id=slipway&service=" + http::percent_encode(state.service) +
                       "&refresh_token=" + http::percent_encode(credential->identity_token);
    if (!scopes.empty()) form += "&scope=" + http::percent_encode(joined(scopes));
    request.method = "POST";
    request.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
    request.body = http::Body::of(std::move(form));
    return request;
  }
  if (!state.service.empty()) request.url = request.url.with_query("service", state.service);
  for (const auto& scope : scopes) request.url = request.url.with_query("scope", scope);
  if (credential) {
    request.url = request.url.with_query("account", credential->username);
    request.headers.push_back({"Authorization", basic(*credential)});
  }
  return request;
}

Attempt<Authenticator::Token> Authenticator::fetch_token(const State& state, const Scopes& scopes,
                                                         const Cancel& cancel) const {
  http::Request request = token_request(state, scopes);
  auto own = transport_.tls_for(request.url.authority());
  if (!own) return give_up(std::move(own).error());
  auto registrys = transport_.tls_for(registry_);
  if (!registrys) return give_up(std::move(registrys).error());
  request.tls = *std::move(own);
  if (request.tls.extra_roots.empty()) request.tls.extra_roots = registrys->extra_roots;
  request.tls.verify = trust_ == Trust::kVerified;

  const std::string what = fmt::format("a token for {}", registry_);
  const auto answer = transport_.fetch(
      request, {.what = what, .wanted = [](int status) { return status == 200; }, .limit = kTokenReplyLimit}, cancel);
  if (!answer) return std::unexpected(answer.error());
  const Reply& reply = *answer;
  if (reply.status != 200)
    return std::unexpected(setback_of_status(
        reply, what,
        {"the token server " + request.url.origin(), registry_, state.credential ? state.credential->username : "",
         state.credential ? state.credential->kept_in : ""}));

  auto token = is_web_page(reply.headers) ? fail(Code::kDataLoss, "it answers with a web page, not with a token")
                                          : parse_token_reply(reply.body);
  if (!token)
    return give_up(std::move(token).error().add_context("while asking the token server " + request.url.origin()));
  return Token{std::move(token->token), monotonic_ms() + token->seconds * 900};  // renewed when a tenth is left
}

}  // namespace slipway::registry
