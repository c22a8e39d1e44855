#include "store/mark.hpp"

#include <utility>

#include "store/schema.hpp"

namespace slipway::store {
namespace {

Status read_blobs(Connection& db, Graph& graph) {
  Rows blobs = TRY(db.query("SELECT digest, size FROM blobs"));
  while (TRY(blobs.next())) graph.blobs.emplace(TRY(blobs.digest(0)), blobs.integer(1));
  Rows layers = TRY(db.query("SELECT diff, blob FROM layers"));
  while (TRY(layers.next())) graph.layers[TRY(layers.digest(0))].push_back(TRY(layers.digest(1)));
  Rows refs = TRY(db.query("SELECT owner, kind, child FROM refs WHERE kind IN (0, 1, 2)"));
  while (TRY(refs.next())) {
    auto& of_kind = refs.integer(1) == static_cast<int>(Need::kSnapshot) ? graph.snapshot_refs : graph.blob_refs;
    of_kind[TRY(refs.digest(0))].push_back(TRY(refs.digest(2)));
  }
  return {};
}

Status read_snapshots(Connection& db, const std::string& boot, Graph& graph) {
  std::unordered_map<std::string, std::size_t> trees;
  Rows rows =
      TRY(db.query("SELECT chain, parent, diff, tree_bytes, durable OR boot = ?, directory FROM snapshots", {boot}));
  while (TRY(rows.next())) {
    std::optional<oci::Digest> parent;
    if (!rows.null(1)) parent = TRY(rows.digest(1));
    const std::size_t tree = trees.try_emplace(rows.text(5), trees.size()).first->second;
    graph.snapshots.emplace(TRY(rows.digest(0)),
                            Graph::Snapshot{parent, TRY(rows.digest(2)), rows.integer(3), rows.integer(4) != 0, tree});
  }
  return {};
}

Status read_roots(Connection& db, Graph& graph) {
  Rows names = TRY(db.query("SELECT DISTINCT target FROM names"));
  while (TRY(names.next())) graph.names.push_back(TRY(names.digest(0)));
  Rows leases = TRY(db.query("SELECT kind, digest FROM lease_needs"));
  while (TRY(leases.next())) {
    const std::int64_t kind = leases.integer(0);
    if (kind == static_cast<int>(Need::kCache)) continue;
    auto& of_kind = kind == static_cast<int>(Need::kSnapshot) ? graph.leased_snapshots
                    : kind == static_cast<int>(Need::kRecord) ? graph.leased_records
                                                              : graph.leased_blobs;
    of_kind.insert(TRY(leases.digest(1)));
  }
  graph.reserved = TRY(db.number("SELECT ifnull(sum(reserved), 0) FROM leases")).value_or(0);
  return {};
}

Status read_records(Connection& db, Graph& graph) {
  std::unordered_map<std::int64_t, std::size_t> place;
  Rows records = TRY(db.query("SELECT id, key FROM records ORDER BY last_used DESC, id DESC"));
  while (TRY(records.next())) {
    place.emplace(records.integer(0), graph.records.size());
    graph.records.push_back({records.integer(0), TRY(records.digest(1)), {}, {}});
  }
  Rows needs = TRY(db.query("SELECT record, kind, digest FROM record_needs"));
  while (TRY(needs.next())) {
    const auto found = place.find(needs.integer(0));
    if (found == place.end()) continue;
    Graph::Record& record = graph.records[found->second];
    auto& of_kind = needs.integer(1) == static_cast<int>(Need::kSnapshot) ? record.snapshots : record.blobs;
    of_kind.push_back(TRY(needs.digest(2)));
  }
  return {};
}

Status read_caches(Connection& db, const std::string& boot, Graph& graph) {
  Rows rows = TRY(db.query(
      "SELECT cache, sum(tree_bytes), min(durable OR boot = ?), EXISTS (SELECT 1 FROM lease_needs WHERE kind = ?"
      " AND digest = cache) FROM cache_layers GROUP BY cache ORDER BY max(last_used) DESC",
      {boot, static_cast<int>(Need::kCache)}));
  while (TRY(rows.next())) {
    graph.caches.push_back({.key = TRY(rows.digest(0)),
                            .bytes = rows.integer(1),
                            .usable = rows.integer(2) != 0,
                            .leased = rows.integer(3) != 0});
    if (graph.caches.back().leased) graph.reserved += graph.caches.back().bytes;
  }
  return {};
}

/// Collects what is needed. `undo_to` takes back what was added since `position`.
class Marker {
 public:
  explicit Marker(const Graph& graph) : graph_(graph) {}

  void blob(const oci::Digest& root) {
    std::vector<oci::Digest> open = {root};
    while (!open.empty()) {
      const oci::Digest digest = open.back();
      open.pop_back();
      add_blob(digest);
      // Also below a blob that is marked already or has no row: its refs may have been marked without snapshots.
      if (!walked_.insert(digest).second) continue;
      walked_order_.push_back(digest);
      if (const auto refs = graph_.blob_refs.find(digest); refs != graph_.blob_refs.end())
        open.insert(open.end(), refs->second.begin(), refs->second.end());
    }
  }

  /// The chain snapshots of every manifest that blob() reached so far.
  void snapshots_of_marked_manifests() {
    for (const auto& owner : walked_order_) {
      const auto refs = graph_.snapshot_refs.find(owner);
      if (refs == graph_.snapshot_refs.end()) continue;
      for (const auto& chain : refs->second) snapshot(chain);
    }
  }

  void snapshot(const oci::Digest& top) {
    for (std::optional<oci::Digest> chain = top; chain;) {
      const auto found = graph_.snapshots.find(*chain);
      if (found == graph_.snapshots.end() || !found->second.usable) return;
      if (!live_.snapshots.insert(*chain).second) return;
      added_.push_back({*chain, true});
      if (trees_[found->second.tree]++ == 0) live_.bytes += found->second.tree_bytes;
      keep_a_layer(found->second.diff);
      chain = found->second.parent;
    }
  }

  void record(const Graph::Record& record) {
    live_.records.insert(record.id);
    for (const auto& chain : record.snapshots) snapshot(chain);
    for (const auto& digest : record.blobs) blob(digest);
  }

  [[nodiscard]] std::size_t position() const { return added_.size(); }
  void undo_to(std::size_t position) {
    while (added_.size() > position) {
      const auto [digest, is_snapshot] = added_.back();
      added_.pop_back();
      walked_.erase(digest);
      if (is_snapshot) {
        live_.snapshots.erase(digest);
        const Graph::Snapshot& snapshot = graph_.snapshots.at(digest);
        if (--trees_[snapshot.tree] == 0) live_.bytes -= snapshot.tree_bytes;
      } else {
        live_.blobs.erase(digest);
        live_.bytes -= graph_.blobs.at(digest);
      }
    }
  }
  [[nodiscard]] std::int64_t bytes() const { return live_.bytes; }
  [[nodiscard]] Live take() { return std::move(live_); }
  void drop_record(std::int64_t id) { live_.records.erase(id); }

 private:
  void add_blob(const oci::Digest& digest) {
    const auto found = graph_.blobs.find(digest);
    if (found == graph_.blobs.end() || !live_.blobs.insert(digest).second) return;
    added_.push_back({digest, false});
    live_.bytes += found->second;
  }

  /// A snapshot that has no blob can neither be checked nor made again: one of its layer's blobs stays with it.
  void keep_a_layer(const oci::Digest& diff) {
    const auto blobs = graph_.layers.find(diff);
    if (blobs == graph_.layers.end()) return;
    for (const auto& digest : blobs->second) {
      if (live_.blobs.contains(digest)) return;
    }
    for (const auto& digest : blobs->second) {
      if (!graph_.blobs.contains(digest)) continue;
      add_blob(digest);
      return;
    }
  }

  const Graph& graph_;
  Live live_;
  std::unordered_set<oci::Digest> walked_;
  std::vector<oci::Digest> walked_order_;
  std::unordered_map<std::size_t, int> trees_;       ///< how many live snapshots each tree has
  std::vector<std::pair<oci::Digest, bool>> added_;  ///< (digest, is a snapshot), in order
};

/// Whether all that the record needs is here: one with a hole is of no use to anyone.
bool complete(const Graph& graph, const Graph::Record& record) {
  for (const auto& digest : record.blobs) {
    if (!graph.blobs.contains(digest)) return false;
  }
  for (const auto& top : record.snapshots) {
    for (std::optional<oci::Digest> chain = top; chain;) {
      const auto found = graph.snapshots.find(*chain);
      if (found == graph.snapshots.end() || !found->second.usable) return false;
      chain = found->second.parent;
    }
  }
  return true;
}

/// What leases use: nothing may take it, whatever the limit.
void mark_leases(const Graph& graph, Marker& marker) {
  for (const auto& digest : graph.leased_blobs) marker.blob(digest);
  for (const auto& chain : graph.leased_snapshots) marker.snapshot(chain);
  for (const auto& record : graph.records) {
    if (graph.leased_records.contains(record.key) && complete(graph, record)) marker.record(record);
  }
}

}  // namespace

Result<Graph> read_graph(Connection& db, const std::string& boot) {
  Graph graph;
  TRY(read_blobs(db, graph));
  TRY(read_snapshots(db, boot, graph));
  TRY(read_roots(db, graph));
  TRY(read_records(db, graph));
  TRY(read_caches(db, boot, graph));
  return graph;
}

namespace {

Live mark_all_but_caches(const Graph& graph, const MarkOptions& options) {
  const auto fits = [&](const Marker& marker) {
    return !options.max_size || marker.bytes() + graph.reserved <= *options.max_size;
  };
  Marker marker(graph);
  mark_leases(graph, marker);
  for (const auto& target : graph.names) marker.blob(target);
  marker.snapshots_of_marked_manifests();
  if (!fits(marker)) {
    // Too much even without records: the snapshots of named images can be made again from their blobs.
    Marker least(graph);
    mark_leases(graph, least);
    for (const auto& target : graph.names) least.blob(target);
    return least.take();
  }
  for (const auto& record : graph.records) {
    if (graph.leased_records.contains(record.key)) continue;  // marked above
    if (options.drop_records) break;
    if (!complete(graph, record)) continue;
    const std::size_t before = marker.position();
    marker.record(record);
    if (fits(marker)) continue;
    // The first that does not fit ends it: whatever was used less recently goes too.
    marker.undo_to(before);
    marker.drop_record(record.id);
    break;
  }
  return marker.take();
}

}  // namespace

Live mark(const Graph& graph, const MarkOptions& options) {
  Live live = mark_all_but_caches(graph, options);
  for (const auto& cache : graph.caches) {
    if (cache.leased) {
      live.caches.insert(cache.key);  // its bytes are reserved already
      continue;
    }
    if (!cache.usable || options.drop_records) continue;
    if (options.max_size && live.bytes + cache.bytes + graph.reserved > *options.max_size) continue;
    live.caches.insert(cache.key);
    live.bytes += cache.bytes;
  }
  return live;
}

}  // namespace slipway::store
