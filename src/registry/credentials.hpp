// Credentials of docker's config.json: who we are to which registry. DOCKER_AUTH_CONFIG (JSON text) before
// DOCKER_CONFIG/config.json before ~/.docker/config.json. In each: the helper that credHelpers names for the registry,
// else that of credsStore (credential_helper.hpp), then `auths` entries with auth, username/password or identitytoken.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "registry/credential.hpp"

namespace slipway::registry {

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// What a credential helper inherits: the whole environment, as "K=V".
using Variables = std::vector<std::string>;

class CredentialStore {
 public:
  CredentialStore() = default;  ///< knows nobody
  /// A missing file is an empty store; a broken one is an error that names the file. No helper is called yet.
  static Result<CredentialStore> load(const Environment& environment, Variables variables = {});
  /// `registry` is "docker.io" or host[:port]; docker.io also answers to https://index.docker.io/v1/. May call a
  /// helper; one that is missing or fails is an error, not nobody: a private image is not asked for without credentials
  /// because of it.
  [[nodiscard]] Result<std::optional<Credential>> find(const std::string& registry, const Cancel& cancel = {}) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

/// Where a login went.
struct SavedLogin {
  std::string path;    ///< of config.json
  std::string helper;  ///< "docker-credential-NAME" when one keeps the password; then the file does not
};
/// Hands the credential to the helper that the user's config.json names for the registry, or writes it into that file,
/// keeping everything else there, 0600, durably.
[[nodiscard]] Result<SavedLogin> save_login(const Environment& environment, const std::string& registry,
                                            const Credential& credential, const Variables& variables = {},
                                            const Cancel& cancel = {});
/// Removes it from both; false when neither had it.
[[nodiscard]] Result<bool> remove_login(const Environment& environment, const std::string& registry,
                                        const Variables& variables = {}, const Cancel& cancel = {});

}  // namespace slipway::registry
