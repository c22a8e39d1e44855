// Cache mounts in use: each step works on a fork of what the cache holds, made in no time whatever its size (an upper
// directory over the cache's layers), and its writes join the cache only when the step succeeded.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "build/stack.hpp"
#include "dockerfile/mount.hpp"
#include "sandbox/sandbox.hpp"
#include "sys/lock.hpp"

namespace slipway::build {

struct CacheMount {
  oci::Digest key;  ///< scope, namespace and id
  dockerfile::Mount::Sharing sharing = dockerfile::Mount::Sharing::kShared;
  std::string target;
  std::string source;  ///< below `initial`
  bool read_only = false;
  std::uint32_t mode = 0755, uid = 0, gid = 0;  ///< of a new cache's root
  std::string buildkit_id = {};                 ///< what BuildKit would call it
  friend bool operator==(const CacheMount&, const CacheMount&) = default;
};

/// The key of a cache: `id` is opaque, never a path.
[[nodiscard]] oci::Digest cache_key(std::string_view scope, std::string_view name_space, std::string_view id);

class CacheMounts {
 public:
  explicit CacheMounts(const Workshop& shop) : shop_(shop) {}
  /// Waits until nobody else, in any process, has one of these. All of a step at once and in one order for everybody:
  /// steps that lock the same two can not wait for each other.
  [[nodiscard]] Status lock(const std::set<oci::Digest>& keys, const Cancel& cancel);
  /// Adds the mount to `spec`. A cache that holds nothing yet begins with `source` of `initial`, if there is one.
  [[nodiscard]] Status add(const CacheMount& mount, const Stack* initial, progress::VertexId vertex,
                           sandbox::Spec& spec, const Cancel& cancel);
  /// After success: what was written becomes part of the caches. Where several steps wrote at once, the last one's
  /// files lie on top.
  [[nodiscard]] Status keep(const Cancel& cancel);

 private:
  struct InUse {
    oci::Digest key;
    std::vector<std::string> layers;
    store::SnapshotDraft draft;
  };
  [[nodiscard]] Result<std::string> begin(const CacheMount& mount, const Stack* initial, progress::VertexId vertex,
                                          const Cancel& cancel);
  [[nodiscard]] Status flatten(const InUse& use, const Cancel& cancel);

  const Workshop& shop_;
  std::vector<sys::FileLock> locks_;
  std::vector<InUse> in_use_;
};

}  // namespace slipway::build
