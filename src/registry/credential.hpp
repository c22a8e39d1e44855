// Credential: who we are to one registry.
#pragma once

#include <string>

namespace slipway::registry {

struct Credential {
  std::string username, password;
  std::string identity_token;  ///< a refresh token for the token server; then there is no password
  std::string kept_in = {};    ///< where it was found, when no login changes it there: "DOCKER_AUTH_CONFIG"
};

}  // namespace slipway::registry
