// Docker's config.json, as a text in DOCKER_AUTH_CONFIG: no crash, no credential out of nothing, and no helper is
// looked for outside PATH, which is empty.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "registry/credentials.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto environment = [&](const std::string& name) -> std::optional<std::string> {
    return name == "DOCKER_AUTH_CONFIG" ? std::optional(text) : std::nullopt;
  };
  const auto store = registry::CredentialStore::load(environment);
  if (!store) return 0;
  for (const char* name : {"docker.io", "registry.example:5000", "127.0.0.1"}) {
    const auto found = store->find(name);
    if (found && *found && (*found)->username.empty() && (*found)->identity_token.empty()) std::abort();
  }
  return 0;
}
