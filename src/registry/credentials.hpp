// Credentials of docker's config.json: who we are to which registry. DOCKER_AUTH_CONFIG (JSON text) before
// DOCKER_CONFIG/config.json before ~/.docker/config.json; `auths` entries with auth, username/password or
// identitytoken.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"

namespace slipway::registry {

struct Credential {
  std::string username, password;
  std::string identity_token;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

class CredentialStore {
 public:
  CredentialStore() = default;  ///< knows nobody
  /// A missing file is an empty store; a broken one is an error that names the file.
  static Result<CredentialStore> load(const Environment& environment);
  /// `registry` is "docker.io" or host[:port]; docker.io also answers to https://index.docker.io/v1/.
  [[nodiscard]] std::optional<Credential> find(const std::string& registry) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

/// Writes (removes) one entry of the user's config.json, keeping everything else in the file, 0600, durably. Gives the
/// path written.
[[nodiscard]] Result<std::string> save_login(const Environment& environment, const std::string& registry,
                                             const Credential& credential);
[[nodiscard]] Result<bool> remove_login(const Environment& environment, const std::string& registry);

}  // namespace slipway::registry
