// Transport: what all hosts of one client share: the HTTP client, certs.d and the patience.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/synced.hpp"
#include "http/client.hpp"
#include "registry/registry_rules.hpp"
#include "registry/retry.hpp"

namespace slipway::registry {

inline constexpr std::int64_t kErrorBodyLimit = 64 * 1024;

/// An answer with its body, which was limited while it was read.
struct Reply {
  int status = 0;
  std::string reason;
  http::Headers headers;
  std::string body;
};

class Transport {
 public:
  /// `patience_ms`: the command gives up after so long without progress.
  Transport(http::ClientOptions options, std::vector<std::string> certificate_directories, RegistryRules rules,
            int first_wait_ms, int patience_ms, decltype(RetryPolicy::told) told = {})
      : http_(std::move(options)),
        directories_(std::move(certificate_directories)),
        rules_(std::move(rules)),
        patience_(patience_ms),
        policy_{.first_wait_ms = first_wait_ms, .patience = &patience_, .told = std::move(told)} {}
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  [[nodiscard]] const RetryPolicy& policy() const { return policy_; }
  [[nodiscard]] Patience& patience() const { return patience_; }

  /// How an answer is taken in.
  struct Reading {
    std::string what;                      ///< noun phrase for errors
    std::function<bool(int)> wanted;       ///< is this status an answer? Others are cut after kErrorBodyLimit
    std::int64_t limit = kErrorBodyLimit;  ///< of a wanted body
    std::function<Status(const http::Response&)> head;  ///< of a wanted answer; may be empty
    std::function<Status(std::string_view)> sink;       ///< gets a wanted body instead of Reply::body; may be empty
  };
  /// One exchange.
  [[nodiscard]] Attempt<Reply> fetch(const http::Request& request, const Reading& reading, const Cancel& cancel) const;

  [[nodiscard]] std::expected<bool, http::Failure> speaks_tls(const http::Url& url, const Cancel& cancel) const {
    return http_.speaks_tls(url, cancel);
  }

  /// Trust and client certificate for `name` ("host" or "host:port"), read once: those of certs.d (docker's rules:
  /// *.crt are roots, NAME.cert with NAME.key is who we are), and the files that a rule names.
  [[nodiscard]] Result<http::Tls> tls_for(const std::string& name) const;

 private:
  http::Client http_;
  std::vector<std::string> directories_;
  RegistryRules rules_;
  mutable Patience patience_;
  RetryPolicy policy_;
  mutable Synced<std::map<std::string, http::Tls>> known_;
};

/// The setback for a transfer that failed; `what` as in setback_of_status().
[[nodiscard]] Setback setback_of_failure(const http::Failure& failure, std::string_view what);

/// Who was asked, for texts.
struct Asked {
  std::string host;     ///< who answered: "127.0.0.1:5000", "the token server https://…"
  std::string login;    ///< the name for `slipway login`; empty: no credentials of ours have a say there
  std::string user;     ///< whose credentials were shown; empty: nobody's
  std::string kept_in;  ///< Credential::kept_in of these
};

/// The setback for an answer nobody wants: `what` is a noun phrase ("the manifest of team/app:1").
[[nodiscard]] Setback setback_of_status(const Reply& reply, std::string_view what, const Asked& asked);

/// The text of a registry's (or token server's) JSON error body, made printable and short; empty when it has none.
[[nodiscard]] std::string message_of(std::string_view body);

/// Whether the answer is a page for people: of a proxy, a login, or a server that is no registry.
[[nodiscard]] bool is_web_page(const http::Headers& headers);

}  // namespace slipway::registry
