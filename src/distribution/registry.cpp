#include "distribution/registry.hpp"

#include <algorithm>

#include "base/address.hpp"
#include "base/text.hpp"
#include "distribution/state.hpp"
#include "distribution/via.hpp"
#include "http/url.hpp"
#include "oci/reference.hpp"

namespace slipway::distribution {

Result<Upstream> Upstream::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(Code::kUsage, "--mirror-of {}: {}; give a registry's address, like https://registry-1.docker.io",
                quoted_address(text), why);
  };
  const bool whole = text.contains("://");
  const auto url = http::Url::parse(whole ? std::string(text) : fmt::format("https://{}", text));
  if (!url) return bad(url.error().what());
  if (url->target() != "/" && url->target() != "/v2/" && !url->target().empty())
    return bad("a path can not be mirrored");
  Upstream upstream;
  const std::string host = url->authority();
  const bool hub = host == "registry-1.docker.io" || host == "docker.io" || host == "index.docker.io";
  upstream.name = hub ? "docker.io" : host;
  // A name that references could not have could not be asked for either.
  const auto reference = oci::Reference::parse(upstream.name + "/any");
  if (!reference || reference->registry() != upstream.name) return bad("it is no registry's name");
  upstream.mirror = TRY(mirror_name());
  if (url->scheme() == "http" && !url->loopback()) upstream.trust = registry::Trust::kAnybody;
  return upstream;
}

std::unexpected<Problem> trouble(const Call& call, const Error& error) {
  Problem problem = problem_of(error);
  if (problem.status >= 500) call.registry.options.log(printable(error.message(), 1000));
  return std::unexpected(std::move(problem));
}

std::unexpected<Problem> refuse(int status, ProblemCode code, std::string message) {
  return std::unexpected(Problem{status, code, std::move(message)});
}

std::unexpected<Problem> no_such_method(Call& call, std::string_view allowed) {
  call.answer.header("Allow", allowed);
  return refuse(405, ProblemCode::kUnsupported, fmt::format("this endpoint has {} only", allowed));
}

std::expected<oci::Digest, Problem> digest_in(std::string_view text) {
  auto digest = oci::Digest::parse(text);
  if (!digest)
    return refuse(400, ProblemCode::kDigestInvalid,
                  fmt::format("{} is no digest: sha256 and sha512 are known", quoted(text, 200)));
  return *digest;
}

namespace {

bool reads(const httpd::Request& request) { return request.method() == "GET" || request.method() == "HEAD"; }

/// A mirror that is asked by itself would wait for itself. 508, as nobody repeats a question for that.
Outcome check_loop(const Registry::State& registry, const std::vector<std::string>& mirrors) {
  if (!registry.mirror) return {};
  const Upstream& upstream = *registry.options.upstream;
  if (std::ranges::find(mirrors, upstream.mirror) != mirrors.end())
    return refuse(
        508, ProblemCode::kUnavailable,
        fmt::format("a loop: this mirror of {} is asked by itself, maybe by way of others; --mirror-of has to "
                    "name the registry itself",
                    upstream.name));
  if (mirrors.size() > kMostMirrors)
    return refuse(508, ProblemCode::kUnavailable,
                  fmt::format("more than {} mirrors stand one behind the other", kMostMirrors));
  return {};
}

/// 401, unless the password file knows who asks.
Outcome authenticate(Registry::State& registry, httpd::Request& request, httpd::Answer& answer) {
  if (!registry.options.users) return {};
  const auto header = request.header("Authorization");
  if (header) {
    auto user = registry.options.users->user_of(*header, request.peer(), registry.options.log);
    if (!user)
      return std::unexpected(Problem{503, ProblemCode::kTooManyRequests, std::string(user.error().what()), {}, 2});
    if (*user) {
      request.set_user(std::move(**user));
      return {};
    }
    if (const auto who = parse_basic(*header)) request.note("wrong password, or unknown: " + quoted(who->user, 100));
  }
  answer.header("WWW-Authenticate", "Basic realm=\"slipway registry\", charset=\"UTF-8\"");
  return refuse(401, ProblemCode::kUnauthorized,
                header ? "the user name or the password is wrong" : "log in: this registry has a password file");
}

/// What may not be changed here. Before the body is read.
Outcome may(const Registry::State& registry, const httpd::Request& request, const Route& route) {
  // The status of an upload is part of a push.
  if (reads(request) && route.kind != Route::Kind::kUpload && route.kind != Route::Kind::kUploads) return {};
  if (registry.mirror)
    return refuse(405, ProblemCode::kUnsupported,
                  fmt::format("this is a mirror of {}: push there", registry.options.upstream->name));
  if (registry.options.read_only) return refuse(405, ProblemCode::kUnsupported, "this registry is read-only");
  return {};
}

Outcome ping(Call& call) {
  if (!reads(call.request)) return no_such_method(call, "GET, HEAD");
  call.answer.header("Content-Type", "application/json");
  (void)call.answer.send(200, "{}");
  return {};
}

/// containerd names the registry that it means by ?ns=. One that we do not mirror is not here.
Outcome check_namespace(Call& call) {
  const auto wanted = call.request.target().query("ns");
  if (!wanted || !call.registry.mirror) return {};
  if (!call.registry.mirror->is_upstream(*wanted))
    return refuse(
        404, ProblemCode::kNameUnknown,
        fmt::format("this is a mirror of {}, not of {}", call.registry.options.upstream->name, quoted(*wanted, 200)));
  call.answer.header("OCI-Namespace", *wanted);
  return {};
}

Outcome dispatch(Call& call) {
  if (auto known = check_namespace(call); !known) return known;
  if (call.registry.mirror) call.route.repository = call.registry.mirror->upstream_repository(call.route.repository);
  switch (call.route.kind) {
    case Route::Kind::kPing:
      return ping(call);
    case Route::Kind::kCatalog:
      return handle_catalog(call);
    case Route::Kind::kManifest:
      return handle_manifest(call);
    case Route::Kind::kBlob:
      return handle_blob(call);
    case Route::Kind::kUploads:
      return handle_uploads(call);
    case Route::Kind::kUpload:
      return handle_upload(call);
    case Route::Kind::kTags:
      return handle_tags(call);
    case Route::Kind::kReferrers:
      return handle_referrers(call);
  }
  return {};
}

Outcome answer_to(Registry::State& registry, httpd::Request& request, httpd::Answer& answer) {
  answer.header("Docker-Distribution-API-Version", "registry/2.0");
  auto mirrors = mirrors_of(request.headers("Via"));
  if (auto new_one = check_loop(registry, mirrors); !new_one) return new_one;
  // Who may not read learns nothing, not even which paths there are.
  if (auto known = authenticate(registry, request, answer); !known) return known;
  auto route = route_of(request.target().path());
  if (!route) return std::unexpected(std::move(route).error());
  if (auto allowed = may(registry, request, *route); !allowed) return allowed;
  Call call{registry, request, answer, std::move(*route), std::move(mirrors)};
  return dispatch(call);
}

}  // namespace

Registry::Registry(store::Store& store, Options options) {
  const std::string scope = options.upstream ? options.upstream->name : "";
  state_ = std::make_unique<State>(store, std::move(options), scope);
  if (state_->options.upstream)
    state_->mirror = std::make_unique<Mirror>(store, state_->repositories, *state_->options.upstream,
                                              state_->options.log, state_->options.most_waiting);
}

Registry::~Registry() = default;

void Registry::handle(httpd::Request& request, httpd::Answer& answer) {
  const Outcome outcome = answer_to(*state_, request, answer);
  if (!outcome) answer_problem(request, answer, outcome.error());
}

}  // namespace slipway::distribution
