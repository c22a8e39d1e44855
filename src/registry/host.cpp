#include "registry/host.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "registry/hops.hpp"

namespace slipway::registry {
namespace {

constexpr int kMostRedirects = 10;
constexpr int kSignedAddressRetries = 2;
constexpr int kMostChallenges = 2;  // nobody asked yet, then a token that ran out

std::string authority_of(const std::string& registry) {
  return registry == "docker.io" ? "registry-1.docker.io" : registry;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool names_port(const std::string& authority) {
  const auto colon = authority.rfind(':');
  return colon != std::string::npos && authority.find(']', colon) == std::string::npos;
}

bool accepts(const Ask& ask, int status) {
  return std::find(ask.accept.begin(), ask.accept.end(), status) != ask.accept.end();
}

Attempt<http::Url> attempt_url(Result<http::Url> url) {
  if (!url) return give_up(std::move(url).error());
  return *std::move(url);
}

}  // namespace

Host::Host(std::shared_ptr<const Transport> transport, std::string registry, CredentialLookup lookup, Access access)
    : transport_(std::move(transport)),
      registry_(std::move(registry)),
      authority_(authority_of(registry_)),
      access_(access),
      policy_(transport_->policy()),
      authenticator_(*transport_, registry_, std::move(lookup), access.plain ? Trust::kAnybody : access.trust) {
  if (!access_.patient) policy_.most = 0;
}

Result<http::Tls> Host::tls_for(const http::Url& url) const {
  http::Tls own = TRY(transport_->tls_for(registry_));
  if (url.authority() == authority_) {
    own.verify = access_.trust == Trust::kVerified;
    return own;
  }
  // Another host that the registry sends us to: its own certs.d, or the registry's roots (as docker has it), and never
  // the client certificate that is meant for the registry.
  http::Tls tls = TRY(transport_->tls_for(url.authority()));
  if (tls.extra_roots.empty()) tls.extra_roots = own.extra_roots;
  return tls;
}

/// As docker does: a loopback registry that does not speak TLS is spoken to in plain text. One that speaks TLS and
/// shows a bad certificate is not: somebody may have taken its port.
Attempt<std::string> Host::choose_scheme(const Cancel& cancel) const {
  const auto encrypted = attempt_url(http::Url::parse("https://" + authority_ + "/"));
  if (!encrypted) return std::unexpected(encrypted.error());
  if (access_.plain) return "http";
  if (!encrypted->loopback() && access_.trust != Trust::kAnybody) return "https";
  auto tls = transport_->speaks_tls(*encrypted, cancel);
  // A connection that was cut in the handshake looks like one that knows no TLS: it is asked again.
  if (tls && !*tls) tls = transport_->speaks_tls(*encrypted, cancel);
  if (tls) return *tls ? "https" : "http";
  if (tls.error().trouble == http::Trouble::kConnect && !names_port(authority_)) return "http";  // on its own port
  return std::unexpected(setback_of_failure(tls.error(), "the registry " + registry_));
}

Attempt<Reply> Host::ping(const http::Url& base, const Cancel& cancel) {
  auto tls = tls_for(base);
  if (!tls) return give_up(std::move(tls).error());
  const auto none = [](int) { return false; };
  return transport_->fetch({.url = base, .tls = *std::move(tls)}, {.what = "the registry " + registry_, .wanted = none},
                           cancel);
}

Attempt<http::Url> Host::connect(const Cancel& cancel) {
  auto known = base_.lock();
  if (*known) return **known;
  auto scheme = choose_scheme(cancel);
  if (!scheme) return std::unexpected(std::move(scheme).error());
  auto base = attempt_url(http::Url::parse(*scheme + "://" + authority_ + "/v2/"));
  if (!base) return base;
  auto reply = ping(*base, cancel);
  if (!reply) return std::unexpected(std::move(reply).error());
  if (reply->status == 401)
    if (auto taken = authenticator_.challenged(reply->headers, *base, {}, ""); !taken)
      return give_up(std::move(taken).error());
  *known = *base;
  return *base;
}

Attempt<Reply> Host::send(const Ask& ask, const http::Url& url, const std::string& authorization,
                          const Cancel& cancel) {
  http::Request request{.method = ask.method, .url = url, .headers = ask.headers, .lone = ask.lone};
  if (!authorization.empty()) request.headers.push_back({"Authorization", authorization});
  auto tls = tls_for(url);
  if (!tls) return give_up(std::move(tls).error());
  request.tls = *std::move(tls);
  if (ask.body) {
    auto body = ask.body();
    if (!body) return give_up(std::move(body).error());
    request.body = *std::move(body);
  }
  const auto wanted = [&](int status) { return accepts(ask, status); };
  return transport_->fetch(
      request, {.what = ask.what, .wanted = wanted, .limit = ask.body_limit, .head = ask.head, .sink = ask.sink},
      cancel);
}

Attempt<Reply> Host::exchange(const Ask& ask, const Cancel& cancel) {
  auto base = connect(cancel);
  if (!base) return std::unexpected(std::move(base).error());
  auto url = attempt_url(base->resolve(ask.location));
  if (!url) return std::unexpected(std::move(url).error());
  for (const auto& [key, value] : ask.query) *url = url->with_query(key, value);
  bool home = url->same_origin(*base);
  int redirects = 0;
  int challenges = 0;
  while (true) {
    std::string authorization;
    if (home) {
      auto value = authenticator_.authorization(ask.scopes, cancel);
      if (!value) return std::unexpected(std::move(value).error());
      authorization = *std::move(value);
    }
    auto reply = send(ask, *url, authorization, cancel);
    if (!reply || accepts(ask, reply->status)) return reply;
    if (reply->status == 401 && home && challenges++ < kMostChallenges) {
      auto more = authenticator_.challenged(reply->headers, *base, ask.scopes, authorization);
      if (!more) return give_up(std::move(more).error());
      if (*more && !ask.body_once) continue;
      if (*more) {
        Setback setback = setback_of(*reply, ask, *url, home);
        setback.renewed = true;
        return std::unexpected(std::move(setback));
      }
    }
    const auto location = reply->headers.find("Location");
    if (is_redirect(reply->status) && !ask.body && location) {
      if (++redirects > kMostRedirects)
        return give_up(Error(Code::kFailedPrecondition, fmt::format("{} redirects more than {} times for {}", registry_,
                                                                    kMostRedirects, ask.what)));
      auto next = attempt_url(context(url->resolve(*location), "while following a redirect of {}", url->origin()));
      if (!next) return std::unexpected(std::move(next).error());
      if (auto allowed = check_hop(*url, *next, ask.sink ? Hop::kVerified : Hop::kAnswer); !allowed)
        return give_up(std::move(allowed).error());
      home = home && next->same_origin(*base);
      url = *std::move(next);
      continue;
    }
    return std::unexpected(setback_of(*reply, ask, *url, home));
  }
}

Setback Host::setback_of(const Reply& reply, const Ask& ask, const http::Url& url, bool home) const {
  if (home)
    return setback_of_status(reply, ask.what,
                             {registry_, registry_, authenticator_.username(), authenticator_.kept_in()});
  Setback setback = setback_of_status(reply, ask.what, {printable(url.origin()), "", "", ""});
  // A signed address may have run out on the way: the registry gives a new one.
  if (reply.status == 403 || reply.status == 410) setback.retries = kSignedAddressRetries;
  return setback;
}

Result<Reply> Host::ask(const Ask& ask, const Cancel& cancel) {
  const Patience::Watch watch(patience());
  auto reply = with_retries(policy(), cancel, [&] { return exchange(ask, cancel); });
  if (reply) patience().answered();
  return reply;
}

Result<std::string> Host::upload_place(const std::string& location, const std::string& from) {
  const auto base = *base_.lock();
  if (!base) return fail(Code::kInternal, "{} was not spoken to yet", registry_);
  const http::Url asked = from.empty() ? *base : TRY(http::Url::parse(from));
  const http::Url place = TRY(context(asked.resolve(location), "while reading a Location of {}", registry_));
  TRY(check_hop(asked, place, Hop::kAnswer));
  return place.text();
}

}  // namespace slipway::registry
