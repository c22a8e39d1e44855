// Mark: what must stay, computed in memory from the rows of one transaction.
//
//   names, pushed manifests → manifests and indexes → configs, layers, chain snapshots;  leases → what they claimed;
//   records and what mirrors have, most recently used first, as long as they fit;  snapshots → those below and a blob
//   to check them by;  caches of mounts, likewise, in the room that is left
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.hpp"
#include "oci/digest.hpp"
#include "store/sqlite.hpp"

namespace slipway::store {

/// All rows that say what needs what.
struct Graph {
  struct Snapshot {
    std::optional<oci::Digest> parent;
    oci::Digest diff;
    std::int64_t tree_bytes;
    bool usable;           ///< of this boot or durable
    std::size_t tree = 0;  ///< which directory: some share one (Store::share_snapshot)
  };
  struct Record {
    std::int64_t id;
    oci::Digest key;
    std::optional<oci::Digest> top;  ///< part
    std::int64_t bytes;              ///< that its row takes in meta.db, about
    std::int64_t last_used;
  };
  /// A manifest of a mirror, or a blob of one that no manifest names: can be fetched again.
  struct Mirrored {
    oci::Digest digest;
    std::int64_t last_used;
  };
  struct Part {
    std::optional<oci::Digest> below, snapshot, blob;
    std::int64_t bytes;
  };
  std::unordered_map<oci::Digest, std::int64_t> blobs;  ///< sizes
  std::unordered_map<oci::Digest, Snapshot> snapshots;
  std::unordered_map<oci::Digest, std::vector<oci::Digest>> layers;         ///< blobs by diff ID
  std::unordered_map<oci::Digest, std::vector<oci::Digest>> blob_refs;      ///< of manifests and indexes
  std::unordered_map<oci::Digest, std::vector<oci::Digest>> snapshot_refs;  ///< of manifests
  std::vector<oci::Digest> names;
  std::vector<oci::Digest> pushed;  ///< what repositories keep until it is deleted there
  std::unordered_set<oci::Digest> leased_blobs, leased_snapshots, leased_records;
  struct Cache {
    oci::Digest key;
    std::int64_t bytes;
    bool usable;  ///< all its layers are
    bool leased;
  };
  std::vector<Record> records;                  ///< most recently used first
  std::vector<Mirrored> mirrored;               ///< likewise
  std::unordered_map<oci::Digest, Part> parts;  ///< of records
  std::vector<Cache> caches;                    ///< likewise
  std::int64_t reserved = 0;                    ///< bytes of running writers, and of caches that they use
  std::int64_t meta_bytes = 0;                  ///< of meta.db, beyond an empty one
};
/// Inside a transaction.
[[nodiscard]] Result<Graph> read_graph(Connection& db, const std::string& boot);

/// What stays. Everything of the graph that is not named here goes.
struct Live {
  std::unordered_set<oci::Digest> blobs;
  std::unordered_set<oci::Digest> snapshots;
  std::unordered_set<std::int64_t> records;
  std::unordered_set<oci::Digest> parts;
  std::unordered_set<oci::Digest> caches;
  std::int64_t bytes = 0;  ///< of blobs, snapshots and caches, and of meta.db without the records that go
};
struct MarkOptions {
  std::optional<std::int64_t> max_size;  ///< drop records and mirrored, then snapshots only names need, until below
  bool drop_records = false;             ///< all that no lease uses, what mirrors have, and caches
};
[[nodiscard]] Live mark(const Graph& graph, const MarkOptions& options);

}  // namespace slipway::store
