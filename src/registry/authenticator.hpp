// Authenticator: how one registry host wants to be asked, and the answers to that, for one credential.
//
// It starts as "nobody asks". A 401 tells it more (challenged()); from then on authorization() gives the Authorization
// value for exactly the scopes of an operation: Basic, or a Bearer token fetched from the realm and kept in memory
// until it expires. Rules for the realm, which comes from a stranger (docs/security.md, invariant 5; distribution's
// token.md):
//   * https anywhere, or plain http when registry and realm are both loopback and the registry itself is plain http;
//   * no user information, no redirects: a token server that redirects is an error;
//   * one realm per host and life: a registry that changes it later does not get the credentials sent elsewhere.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/synced.hpp"
#include "http/url.hpp"
#include "registry/credentials.hpp"
#include "registry/transport.hpp"

namespace slipway::registry {

using Scopes = std::vector<std::string>;  ///< "repository:team/app:pull,push"

class Authenticator {
 public:
  /// `registry` is the name people use ("docker.io"), for texts and for certs.d.
  Authenticator(const Transport& transport, std::string registry, std::optional<Credential> credential)
      : transport_(transport), registry_(std::move(registry)), credential_(std::move(credential)) {}

  /// The value of Authorization, or "" when nobody asked for one yet.
  [[nodiscard]] Attempt<std::string> authorization(const Scopes& scopes, const Cancel& cancel);

  /// Takes in a 401 that `base` gave to a request with the Authorization `used` for `scopes`. True: ask again, there
  /// is something new to offer.
  [[nodiscard]] Result<bool> challenged(const http::Headers& headers, const http::Url& base, const Scopes& scopes,
                                        const std::string& used);
  [[nodiscard]] bool has_credential() const { return credential_.has_value(); }
  [[nodiscard]] std::string username() const { return credential_ ? credential_->username : ""; }

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
    std::map<std::string, Token> tokens;  ///< by scopes
  };
  Attempt<Token> fetch_token(const State& state, const Scopes& scopes, const Cancel& cancel) const;
  [[nodiscard]] http::Request token_request(const State& state, const Scopes& scopes) const;

  const Transport& transport_;
  const std::string registry_;
  const std::optional<Credential> credential_;
  Synced<State> state_;
};

}  // namespace slipway::registry
