// CacheImport: the caches that --cache-from names, read when the first step is not in the store, and what lies in them
// under the keys of steps.
//
// A cache is foreign. What it says counts for this build and for builds that name the same caches again, never for
// others (TravellingRecords), and only while it is there and shows itself to whoever builds; its layers are pulled when
// something needs them, and verified by digest and diff ID then.
// A cache that is missing, away or broken is a warning: the steps run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "build/buildkit_step.hpp"
#include "build/cache_request.hpp"
#include "build/frontend.hpp"
#include "build/stack.hpp"
#include "buildcache/lookup.hpp"

namespace slipway::build {

/// One cache that was read: of an image for several platforms, one for each.
struct ReadCache {
  const CachePlace* place = nullptr;
  buildcache::Lookup lookup;
  struct Blob {
    oci::Descriptor descriptor;
    std::optional<oci::DiffId> diff;
    std::optional<Timestamp> created;
  };
  std::map<oci::Digest, Blob> blobs;
  std::vector<std::optional<Timestamp>>
      made;  ///< by layer: when its record says; only of blobs that several layers have
};

/// Reads the cache of a place; one for each image that holds one. Called from one thread.
[[nodiscard]] Result<std::vector<ReadCache>> read_cache(const CachePlace& place, const Workshop& shop,
                                                        const Cancel& cancel);

class CacheImport {
 public:
  /// Everything outlives the object; `next_id` numbers what progress is told of.
  CacheImport(const Workshop& shop, const std::vector<CacheSource>& sources, VertexIds& ids, const Cancel& cancel)
      : shop_(shop), sources_(sources), ids_(ids), cancel_(cancel) {}

  /// The graph that vertices are numbers of; before anything is looked up.
  void set_plan(const Plan& plan) { plan_ = &plan; }

  /// What a cache has for a vertex: under its key, else under those that BuildKit gives it. `outputs`: see
  /// solver::Records. Thread safe, as everything below.
  [[nodiscard]] Result<std::optional<solver::Record>> find(std::size_t vertex, const solver::Key& key,
                                                           const std::vector<solver::OutputPtr>& outputs);

  /// The stack of a record. When a cache gave it, its layers come with that cache, as those of a base image with their
  /// registry: what is here may be used when the cache has it too (image/proofs.hpp), what is missing is fetched when
  /// it is needed.
  [[nodiscard]] Result<std::shared_ptr<Stack>> decode(std::string_view value) const;
  /// Whether the layers of such a stack can be had. kNotFound, and a warning, when not: the step has to run.
  [[nodiscard]] Status check(const Stack& stack, const Cancel& cancel) const;

  /// Contents that caches know to stand for an input of a vertex, as records: what it takes of a tree that is not here.
  [[nodiscard]] Result<std::vector<oci::Digest>> contents(std::size_t vertex, std::size_t input);

  /// A repository of the registry of `reference` that a cache has the blob in.
  [[nodiscard]] std::optional<std::string> neighbour(const oci::Reference& reference, const oci::Digest& blob);

  /// The caches as they answer now: what was recorded of their results is looked for among that of builds for which
  /// they answered so. Each is asked once: a HEAD of its manifest with own credentials. Of a directory, and of a
  /// registry that may be another one by now (loopback, or believed without a certificate), what it names counts too.
  [[nodiscard]] std::string answers();
  /// Whether all that `stack` rests upon answered.
  [[nodiscard]] bool answered(const Stack& stack);
  /// The caches, read by now.
  [[nodiscard]] const std::vector<ReadCache>& caches();

 private:
  using Matches = std::vector<std::pair<std::size_t, std::size_t>>;  ///< cache, record

  struct Answer {
    std::string name;  ///< of the cache in records: what it is believed by is part of it
    std::string now;   ///< what it names, where that counts
    std::optional<Error> trouble;
  };
  void read_all();
  const std::vector<Answer>& ask_all();
  [[nodiscard]] Result<std::string> ask(const CachePlace& place) const;
  [[nodiscard]] std::string name_of(const CachePlace& place) const;
  /// The image that a layer came with, for its proofs: of one that was recorded, its cache's.
  [[nodiscard]] Result<std::shared_ptr<const image::Resolved>> came_with(const Layer& layer) const;
  [[nodiscard]] Status check_layer(const Layer& layer, const Cancel& cancel) const;
  [[nodiscard]] std::optional<solver::Record> by_own_key(std::size_t vertex, const solver::Key& key);
  /// What stack_of() gives, which decode() will know again.
  [[nodiscard]] std::optional<std::string> offer(std::size_t cache, const buildcache::Record& record,
                                                 std::size_t vertex);
  /// The text of a stack for a result, if it may stand for the vertex.
  [[nodiscard]] std::optional<std::string> stack_of(const ReadCache& cache, const buildcache::Record& record,
                                                    std::size_t vertex) const;
  [[nodiscard]] Result<Matches> matches(std::size_t vertex, const std::vector<solver::OutputPtr>& outputs);
  [[nodiscard]] Result<Matches> match(std::size_t vertex, const std::vector<solver::OutputPtr>& outputs) const;

  const Workshop& shop_;
  const std::vector<CacheSource>& sources_;
  VertexIds& ids_;
  const Cancel& cancel_;
  const Plan* plan_ = nullptr;
  std::once_flag asked_;
  std::vector<Answer> answers_;  ///< by source
  std::once_flag read_;
  std::vector<ReadCache> caches_;
  std::mutex mutex_;  ///< of matches_
  std::map<std::size_t, Matches> matches_;
  mutable std::mutex offered_mutex_;
  std::map<oci::Digest, std::size_t> offered_;  ///< by digest of the text of a stack: the cache that has it
};

}  // namespace slipway::build
