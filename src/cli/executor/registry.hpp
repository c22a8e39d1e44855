// ExecutorRegistry: registries as kaniko's flags describe them, and pushes as it does them.
#pragma once

#include "base/progress.hpp"
#include "cli/executor/log.hpp"
#include "cli/executor/options.hpp"
#include "cli/session.hpp"
#include "image/image.hpp"
#include "registry/client.hpp"

namespace slipway::cli {

enum class RegistryWay : unsigned char { kPull, kPush };

/// What a user's environment says of registries, and the flags beside it.
[[nodiscard]] Result<registry::ClientOptions> executor_client(const ExecutorRegistries& registries,
                                                              const Session& session, RegistryWay way);

/// Asks every repository once whether it would take a push. Errors are in kaniko's words.
[[nodiscard]] Status check_push_permissions(const registry::Client& client,
                                            const std::vector<oci::Reference>& destinations, const Cancel& cancel);

/// Pushes under every name, with the retries that were asked for. `images.client` is one for pushes.
[[nodiscard]] Status push_to_all(const image::Images& images, const oci::Descriptor& manifest,
                                 const std::vector<oci::Reference>& destinations, const ExecutorRegistries& registries,
                                 ExecutorLog& log, const Cancel& cancel);

/// "index.docker.io/library/app": how kaniko writes a name without its tag.
[[nodiscard]] std::string kaniko_repository(const oci::Reference& name);

}  // namespace slipway::cli
