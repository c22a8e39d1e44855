// Rules for registries: what an operator or a command line says about how one registry is reached. Values only; who
// reads them from where (options, SLIPWAY_REGISTRY_MIRROR, /etc/docker/daemon.json) is registry_config.hpp.
//
//   ClientOptions options = TRY(ClientOptions::from_environment(environment));
//   options.rules["docker.io"].mirrors.push_back(TRY(Mirror::parse("https://mirror.example/hub")));
//   options.rules["registry.example:5000"].ca_file = "/certs/ca.pem";
//   options.rules[kEveryRegistry].trust = Trust::kAnyCertificate;          // --skip-tls-verify
//   options.insecure.push_back(TRY(InsecureRegistry::parse("10.0.0.0/8"))); // --insecure-registry
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "http/address.hpp"

namespace slipway::registry {

/// Whom a connection to a registry is believed to. Ordered: a later one allows what an earlier one does.
enum class Trust : unsigned char {
  kVerified,
  kAnyCertificate,  ///< TLS, whoever answers; never plain HTTP (but for loopback, which is always allowed it)
  kAnybody,         ///< any certificate, and plain HTTP where there is no TLS
};

/// Another place that has (some of) what a registry has, under the same repository names or below a prefix.
struct Mirror {
  std::string registry;     ///< "mirror.example:5000"; credentials, certs.d and rules are looked up by this name
  std::string prefix = {};  ///< "team/hub": put before the repository's name; "" is usual
  bool plain = false;       ///< the URL said http://: plain HTTP and nothing else
  /// "https://HOST[:PORT][/PREFIX]", "http://…" or "HOST[:PORT][/PREFIX]" (https, or http on loopback).
  /// kInvalidArgument for user information, a query, and what is no host or repository name. The text is not repeated
  /// when it may hold a password.
  [[nodiscard]] static Result<Mirror> parse(std::string_view text);
  friend bool operator==(const Mirror&, const Mirror&) = default;
};

/// What holds for one registry.
struct RegistryRule {
  std::vector<Mirror> mirrors = {};   ///< asked in this order before the registry, for everything that is pulled
  Trust trust = Trust::kVerified;     ///< at least; `insecure` and what a caller passes may allow more
  std::string ca_file = {};           ///< PEM roots, besides the usual ones and those of certs.d
  std::string certificate_file = {};  ///< PEM: who we are, instead of what certs.d says; with key_file
  std::string key_file = {};
  bool origin_fallback =
      true;  ///< false: what the mirrors do not have is not there (and pushes still go to the origin)
};

/// By the registry's name as references have it: "docker.io", "127.0.0.1:5000".
using RegistryRules = std::map<std::string, RegistryRule, std::less<>>;
/// The key of the rule for registries that have none of their own.
inline constexpr std::string_view kEveryRegistry = "*";

/// Registries that may be anybody (Trust::kAnybody), as docker's insecure-registries: by name, or by address.
class InsecureRegistry {
 public:
  /// "HOST", "HOST:PORT" or "ADDRESS/BITS"; a leading scheme is dropped. kInvalidArgument otherwise.
  [[nodiscard]] static Result<InsecureRegistry> parse(std::string_view text);
  /// "HOST" holds for each of its ports (docker: for the default ones only). A network holds for registries that are
  /// written as an address; names are not looked up for it.
  [[nodiscard]] bool holds(std::string_view registry) const;

 private:
  std::string name_;  ///< lower case; empty: a network
  http::Network network_;
};

/// The rule for `registry`: its own, or that of kEveryRegistry, with `trust` raised by `insecure`.
[[nodiscard]] RegistryRule rule_for(const RegistryRules& rules, const std::vector<InsecureRegistry>& insecure,
                                    const std::string& registry);

}  // namespace slipway::registry
