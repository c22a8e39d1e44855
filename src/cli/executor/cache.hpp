// ExecutorCache: cache repositories as kaniko lays them out (pkg/cache, pkg/executor/push.go): an image for each step,
// its one layer what the step left, its tag the step's key (build/step_chain.hpp). With oci:PATH it is the only image
// of the OCI layout PATH:KEY.
//
// kaniko's keys do not tell all steps apart. So what is written here carries the step's exact key in a label, and an
// entry with another one is a miss. Entries of kaniko's own have no label: they are believed as kaniko does, except for
// steps whose kaniko key is known to leave something out.
#pragma once

#include "build/step_cache.hpp"
#include "cli/executor/log.hpp"
#include "cli/executor/options.hpp"

namespace slipway::cli {

class ExecutorCache final : public build::StepCache {
 public:
  /// `repository`: "registry.example/app/cache" or "oci:PATH". `client` is used for both ways. All outlive the object.
  ExecutorCache(const ExecutorOptions& options, std::string repository, registry::Client& client, ExecutorLog& log)
      : options_(options), repository_(std::move(repository)), client_(client), log_(log) {}

  Result<std::optional<build::LayerFacts>> find(const build::Workshop& shop, const build::CacheableStep& step,
                                                const Cancel& cancel) override;
  void keep(const build::Workshop& shop, const build::CacheableStep& step, const build::LayerFacts& facts,
            const Cancel& cancel) override;
  [[nodiscard]] bool takes_run() const override { return options_.cache_run; }
  [[nodiscard]] bool takes_copy() const override { return options_.cache_copy; }

 private:
  struct Entry {
    oci::Manifest manifest;
    oci::ImageConfig config;
    std::string directory;  ///< of a layout; empty: in the registry
  };
  [[nodiscard]] Result<std::optional<Entry>> look(const std::string& key, const Cancel& cancel) const;
  [[nodiscard]] Result<Entry> look_in_registry(const std::string& key, const Cancel& cancel) const;
  [[nodiscard]] Result<Entry> look_in_layout(const std::string& directory) const;
  /// Whether the entry is this step's.
  [[nodiscard]] bool fits(const Entry& entry, const build::CacheableStep& step) const;
  [[nodiscard]] Result<build::LayerFacts> take(const build::Workshop& shop, const Entry& entry, const std::string& key,
                                               progress::VertexId vertex, const Cancel& cancel) const;
  [[nodiscard]] Status write(const build::Workshop& shop, const build::CacheableStep& step,
                             const build::LayerFacts& facts, const std::string& key, const Cancel& cancel) const;
  [[nodiscard]] bool in_layouts() const { return repository_.starts_with("oci:"); }
  [[nodiscard]] std::string place(const std::string& key) const { return repository_ + ":" + key; }

  const ExecutorOptions& options_;
  const std::string repository_;
  registry::Client& client_;
  ExecutorLog& log_;
};

/// --cache-repo, or "cache" below the first destination. kUsage when it is no repository.
[[nodiscard]] Result<std::string> cache_repository(const ExecutorOptions& options,
                                                   const std::vector<oci::Reference>& destinations);

}  // namespace slipway::cli
