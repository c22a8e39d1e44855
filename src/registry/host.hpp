// Host: one registry as one client sees it: its address, whether it speaks TLS, how it wants to be authenticated, and
// exchanges with it. An exchange sends one question, answers 401 by authenticating, follows redirects (questions
// without a body only, at most 10) and gives the answer or a Setback; retrying is with_retries()'s part.
//
// Credentials go to the host's own (scheme, host, port) and nowhere else: the first hop to another origin drops them
// for the rest of the exchange, and an upload Location elsewhere never sees them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "registry/authenticator.hpp"
#include "registry/client.hpp"
#include "registry/transport.hpp"

namespace slipway::registry {

/// One question.
struct Ask {
  std::string method = "GET";
  std::string location;                                    ///< a target of the host ("/v2/…") or a whole URL
  std::vector<std::pair<std::string, std::string>> query;  ///< added to it
  std::vector<http::Header> headers;
  std::function<Result<http::Body>()> body;  ///< opened anew for each sending; empty: no body
  Scopes scopes;
  std::string what;         ///< noun phrase for errors: "the manifest of team/app:1"
  std::vector<int> accept;  ///< statuses that are an answer; others become a Setback
  /// A 401 renews the credentials and ends the exchange (Setback::renewed) instead of sending the body once more: the
  /// server may have taken some of it.
  bool body_once = false;
  bool lone = false;                          ///< http::Request::lone
  std::int64_t body_limit = kErrorBodyLimit;  ///< of an accepted answer
  /// When set, an accepted answer's body goes here instead of into the Reply. `head` sees it first.
  std::function<Status(const http::Response&)> head;
  std::function<Status(std::string_view)> sink;
};

/// How a host is reached, as its rule has it.
struct Access {
  Trust trust = Trust::kVerified;
  bool plain = false;   ///< plain HTTP and nothing else
  bool patient = true;  ///< false: one attempt, because there is somebody else to ask
  friend auto operator<=>(const Access&, const Access&) = default;
};

class Host {
 public:
  /// `registry` as references have it: "docker.io", "127.0.0.1:5000".
  Host(std::shared_ptr<const Transport> transport, std::string registry, CredentialLookup lookup, Access access = {});

  [[nodiscard]] Attempt<Reply> exchange(const Ask& ask, const Cancel& cancel);
  /// exchange() with retries.
  [[nodiscard]] Result<Reply> ask(const Ask& ask, const Cancel& cancel);
  /// The absolute form of the Location header of an upload, given by `from` (a URL; empty: the host itself). Refused
  /// when what is sent there would leave the protection that it has here (registry/hops.hpp).
  [[nodiscard]] Result<std::string> upload_place(const std::string& location, const std::string& from);
  [[nodiscard]] const std::string& registry() const { return registry_; }
  [[nodiscard]] const RetryPolicy& policy() const { return policy_; }
  [[nodiscard]] Patience& patience() const { return transport_->patience(); }

 private:
  /// Finds out once whether the host speaks TLS (plain HTTP is for loopback and Trust::kAnybody), and what it asks for.
  Attempt<http::Url> connect(const Cancel& cancel);
  Attempt<std::string> choose_scheme(const Cancel& cancel) const;
  Attempt<Reply> ping(const http::Url& base, const Cancel& cancel);
  [[nodiscard]] Setback setback_of(const Reply& reply, const Ask& ask, const http::Url& url, bool home) const;
  Attempt<Reply> send(const Ask& ask, const http::Url& url, const std::string& authorization, const Cancel& cancel);
  [[nodiscard]] Result<http::Tls> tls_for(const http::Url& url) const;

  std::shared_ptr<const Transport> transport_;
  std::string registry_;
  std::string authority_;
  Access access_;
  RetryPolicy policy_;
  Authenticator authenticator_;
  Synced<std::optional<http::Url>> base_;
};

}  // namespace slipway::registry
