// CacheExport: what a build's steps gave, written as a cache that BuildKit and Slipway read: into a registry, a
// directory, or the config of the image itself.
//
// Each step is there under its own key and, where that can be said, under the one that BuildKit gives it. Neither holds
// a secret: keys name what a secret is called, never what it is. The document depends on the results only, so a cache
// of an unchanged build is the same bytes, and nothing is sent.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "build/cache_import.hpp"
#include "build/export.hpp"
#include "buildcache/cache_config.hpp"

namespace slipway::build {

class CacheExport {
 public:
  /// `solved`: of all vertices of the plan; `import`: what --cache-from brought, or null. Everything outlives the
  /// object.
  CacheExport(const Workshop& shop, const Plan& plan, const std::vector<solver::Solved>& solved,
              const std::vector<PlatformResult>& results, CacheImport* import, const Cancel& cancel)
      : shop_(shop), plan_(plan), solved_(solved), results_(results), import_(import), cancel_(cancel) {}

  /// The records for the config of an image with these layers, in base64; empty when there are none.
  [[nodiscard]] Result<std::string> inline_records(const Stack& image) const;

  /// Writes the cache; `vertex` is what progress is told of.
  [[nodiscard]] Status write(const CacheTarget& target, progress::VertexId vertex) const;

 private:
  using Blobs = std::map<oci::Digest, oci::Descriptor>;  ///< of a layer of ours: as the cache has it

  [[nodiscard]] std::shared_ptr<const Stack> merged(std::size_t vertex) const;
  /// A step's layers, where they are known and what its key says.
  [[nodiscard]] Result<std::shared_ptr<const Stack>> make_stack(std::size_t vertex) const;
  /// `blobs` gets every layer that a result has.
  [[nodiscard]] Result<buildcache::ConfigBuilder> collect(const CacheTarget& target, Blobs& blobs,
                                                          progress::VertexId vertex) const;
  [[nodiscard]] Status encode(const CacheTarget& target, const std::vector<std::shared_ptr<const Stack>>& stacks,
                              Blobs& blobs, progress::VertexId vertex) const;
  [[nodiscard]] Result<std::vector<std::size_t>> buildkit_records(std::size_t vertex,
                                                                  const std::vector<std::vector<std::size_t>>& known,
                                                                  buildcache::ConfigBuilder& builder) const;
  struct Document {
    std::string config;
    oci::Descriptor manifest;
    std::string bytes;  ///< of the manifest
    std::vector<oci::Descriptor> layers;
    oci::Descriptor config_blob;
  };
  [[nodiscard]] static Document document(const CacheTarget& target, const buildcache::ConfigBuilder& builder,
                                         const Blobs& blobs);
  [[nodiscard]] Status push(const CacheTarget& target, const Document& document, progress::VertexId vertex) const;
  [[nodiscard]] Status save(const CacheTarget& target, const Document& document) const;
  /// The image or cache that a layer came with; null: it was made here.
  [[nodiscard]] const image::Resolved* came_with(const oci::Digest& blob) const;
  /// A repository of the registry of `name`, which is `there` to proofs, to mount a layer from: while it is not proven
  /// to be its image's own, the one that this came from; from others it is mounted once it was brought here.
  [[nodiscard]] Result<std::optional<std::string>> mount_for(const oci::Reference& name, const store::Origin& there,
                                                             const oci::Digest& blob, progress::VertexId vertex,
                                                             const Cancel& cancel) const;
  /// Makes the bytes of a layer be here, for this build to use.
  [[nodiscard]] Status bring(const oci::Digest& blob, progress::VertexId vertex, const Cancel& cancel) const;
  /// kNotFound when the blob is not.
  [[nodiscard]] Status here(const oci::Digest& blob) const;
  void say(progress::VertexId vertex, const std::string& what) const;

  const Workshop& shop_;
  const Plan& plan_;
  const std::vector<solver::Solved>& solved_;
  const std::vector<PlatformResult>& results_;
  CacheImport* import_;
  const Cancel& cancel_;
  mutable std::vector<std::shared_ptr<const Stack>> stacks_;  ///< by vertex, once they were asked for
};

}  // namespace slipway::build
