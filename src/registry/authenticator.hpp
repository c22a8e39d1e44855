// Authenticator: how one registry host wants to be asked, and the answers to that, for one credential.
//
// It starts as "nobody asks". A 401 tells it more (challenged()); from then on authorization() gives the Authorization
// value for exactly the scopes of an operation: Basic, or a Bearer token fetched from the realm and kept in memory
// until it expires. Rules for the realm, which comes from a stranger (docs/security.md, invariant 5; distribution's
// token.md):
//   * https anywhere, or plain http when the registry itself is plain http and both are loopback, or the registry was
//     called insecure: then whoever sits on that line could ask for Basic as well;
//   * no user information, no redirects: a token server that redirects is an error;
//   * one realm per host and life: a registry that changes it later does not get the credentials sent elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/synced.hpp"
#include "http/url.hpp"
#include "registry/credential.hpp"
#include "registry/registry_rules.hpp"
#include "registry/transport.hpp"

namespace slipway::registry {

using Scopes = std::vector<std::string>;  ///< "repository:team/app:pull,push"
/// Gives the credential for the one registry of an Authenticator, or nothing. May call a program.
using CredentialLookup = std::function<Result<std::optional<Credential>>(const Cancel&)>;

class Authenticator {
 public:
  /// `registry` is the name people use ("docker.io"), for texts and for certs.d. `lookup` is called once, when the
  /// registry asks who we are; empty: nobody.
  Authenticator(const Transport& transport, std::string registry, CredentialLookup lookup,
                Trust trust = Trust::kVerified)
      : transport_(transport), registry_(std::move(registry)), lookup_(std::move(lookup)), trust_(trust) {}

  /// The value of Authorization, or "" when nobody asked for one yet.
  [[nodiscard]] Attempt<std::string> authorization(const Scopes& scopes, const Cancel& cancel);

  /// Takes in a 401 that `base` gave to a request with the Authorization `used` for `scopes`. True: ask again, there
  /// is something new to offer.
  [[nodiscard]] Result<bool> challenged(const http::Headers& headers, const http::Url& base, const Scopes& scopes,
                                        const std::string& used);
  /// Whose credentials are shown; "" for nobody's.
  [[nodiscard]] std::string username() const;
  [[nodiscard]] std::string kept_in() const;  ///< Credential::kept_in of what was shown; empty: nothing was

 private:
  enum class Kind : unsigned char { kNone, kBasic, kBearer };
  struct Token {
    std::string text;
    std::int64_t expires_ms = 0;
  };
  struct State {
    Kind kind = Kind::kNone;
    std::optional<http::Url> realm;
    std::string service;
    bool looked_up = false;
    std::optional<Credential> credential;
    std::map<std::string, Token> tokens;  ///< by scopes
  };
  Attempt<Token> fetch_token(const State& state, const Scopes& scopes, const Cancel& cancel) const;
  [[nodiscard]] http::Request token_request(const State& state, const Scopes& scopes) const;

  const Transport& transport_;
  const std::string registry_;
  const CredentialLookup lookup_;
  const Trust trust_;
  mutable Synced<State> state_;
};

}  // namespace slipway::registry
