// What the parts of a Repository share (client.cpp, download.cpp, upload.cpp).
#pragma once

#include <memory>
#include <string>

#include "registry/client.hpp"
#include "registry/host.hpp"

namespace slipway::registry {

struct Repository::State {
  std::shared_ptr<Host> host;
  std::string name;  ///< "team/app"

  [[nodiscard]] std::string path(std::string_view rest) const { return fmt::format("/v2/{}/{}", name, rest); }
  [[nodiscard]] Scopes pull() const { return {fmt::format("repository:{}:pull", name)}; }
  [[nodiscard]] Scopes push() const { return {fmt::format("repository:{}:pull,push", name)}; }
  [[nodiscard]] std::string blob_name(const oci::Digest& digest) const {
    return fmt::format("blob {} of {}", digest.text(), name);
  }
  /// HEAD: 200 or 404.
  [[nodiscard]] Result<bool> exists(const std::string& path, const Scopes& scopes, const std::string& what,
                                    const Cancel& cancel) const;
};

}  // namespace slipway::registry
