#include "store/mark.hpp"

#include <algorithm>
#include <utility>

#include "base/time.hpp"
#include "store/core.hpp"
#include "store/repository_rows.hpp"
#include "store/schema.hpp"

namespace slipway::store {
namespace {

/// What a row of records or their parts takes besides its value, about: digests, key, index.
constexpr std::int64_t kRowBytes = 200;

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
  graph.pushed = TRY(pushed_roots(db, now().seconds));
  for (const auto& unit : TRY(mirrored_roots(db, now().seconds))) graph.mirrored.push_back({unit.digest, unit.used});
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
  const auto digest = [](const Rows& rows, int column) -> Result<std::optional<oci::Digest>> {
    if (rows.null(column)) return std::nullopt;
    return TRY(rows.digest(column));
  };
  Rows records =
      TRY(db.query("SELECT id, key, top, length(value), last_used FROM records ORDER BY last_used DESC, id DESC"));
  while (TRY(records.next())) {
    const oci::Digest key = TRY(records.digest(1));
    auto top = TRY(digest(records, 2));
    graph.records.push_back(
        {records.integer(0), key, std::move(top), records.integer(3) + kRowBytes, records.integer(4)});
  }
  Rows parts = TRY(db.query("SELECT part, below, snapshot, blob, length(value) FROM record_parts"));
  while (TRY(parts.next())) {
    const oci::Digest part = TRY(parts.digest(0));
    auto below = TRY(digest(parts, 1)), snapshot = TRY(digest(parts, 2)), blob = TRY(digest(parts, 3));
    graph.parts.emplace(
        part, Graph::Part{std::move(below), std::move(snapshot), std::move(blob), parts.integer(4) + kRowBytes});
  }
  graph.meta_bytes = TRY(meta_bytes(db));
  std::int64_t rows = 0;
  for (const auto& record : graph.records) rows += record.bytes;
  for (const auto& [name, part] : graph.parts) rows += part.bytes;
  graph.meta_bytes = std::max(graph.meta_bytes, rows);  // a few rows lie in pages that are there anyway
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
  explicit Marker(const Graph& graph) : graph_(graph) {
    live_.bytes = graph.meta_bytes;
    for (const auto& record : graph.records) live_.bytes -= record.bytes;
    for (const auto& [name, part] : graph.parts) live_.bytes -= part.bytes;
  }

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
      added_.push_back({*chain, Kind::kSnapshot});
      if (trees_[found->second.tree]++ == 0) live_.bytes += found->second.tree_bytes;
      keep_a_layer(found->second.diff);
      chain = found->second.parent;
    }
  }

  void record(const Graph::Record& record) {
    if (!live_.records.insert(record.id).second) return;
    live_.bytes += record.bytes;
    for (std::optional<oci::Digest> name = record.top; name && live_.parts.insert(*name).second;) {
      const Graph::Part& part = graph_.parts.at(*name);
      added_.push_back({*name, Kind::kPart});
      live_.bytes += part.bytes;
      if (part.snapshot) snapshot(*part.snapshot);
      if (part.blob) blob(*part.blob);
      name = part.below;
    }
  }

  [[nodiscard]] std::size_t position() const { return added_.size(); }
  void undo_to(std::size_t position) {
    while (added_.size() > position) {
      const auto [digest, kind] = added_.back();
      added_.pop_back();
      take_back(digest, kind);
    }
  }
  [[nodiscard]] std::int64_t bytes() const { return live_.bytes; }
  [[nodiscard]] Live take() { return std::move(live_); }
  void drop_record(const Graph::Record& record) {
    if (live_.records.erase(record.id) > 0) live_.bytes -= record.bytes;
  }

 private:
  enum class Kind : unsigned char { kBlob, kSnapshot, kPart };

  void take_back(const oci::Digest& digest, Kind kind) {
    switch (kind) {
      case Kind::kBlob:
        walked_.erase(digest);
        live_.blobs.erase(digest);
        live_.bytes -= graph_.blobs.at(digest);
        return;
      case Kind::kSnapshot: {
        live_.snapshots.erase(digest);
        const Graph::Snapshot& snapshot = graph_.snapshots.at(digest);
        if (--trees_[snapshot.tree] == 0) live_.bytes -= snapshot.tree_bytes;
        return;
      }
      case Kind::kPart:
        live_.parts.erase(digest);
        live_.bytes -= graph_.parts.at(digest).bytes;
        return;
    }
  }

  void add_blob(const oci::Digest& digest) {
    const auto found = graph_.blobs.find(digest);
    if (found == graph_.blobs.end() || !live_.blobs.insert(digest).second) return;
    added_.push_back({digest, Kind::kBlob});
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
  std::vector<std::pair<oci::Digest, Kind>> added_;  ///< in order
};

/// Tells of things that stand upon others whether they are whole down to the ground. Each is looked at once; a ring,
/// which nobody of ours writes, has no ground.
class Grounds {
 public:
  /// `look(name)`: nothing when it is not fit itself, else what it stands on, if anything.
  template <class Look>
  bool holds(const std::optional<oci::Digest>& top, const Look& look) {
    std::vector<oci::Digest> open;
    bool whole = true;
    for (std::optional<oci::Digest> name = top; name;) {
      const auto [known, is_new] = whole_.try_emplace(*name, false);
      if (!is_new) {
        whole = known->second;
        break;
      }
      open.push_back(*name);
      const std::optional<std::optional<oci::Digest>> below = look(*name);
      whole = below.has_value();
      if (!whole) break;
      name = *below;
    }
    if (whole) {
      for (const auto& name : open) whole_[name] = true;
    }
    return whole;
  }

 private:
  std::unordered_map<oci::Digest, bool> whole_;
};

/// Whether all that a record needs is here: one with a hole is of no use to anyone.
class Completeness {
 public:
  explicit Completeness(const Graph& graph) : graph_(graph) {}

  bool operator()(const Graph::Record& record) {
    return parts_.holds(record.top, [this](const oci::Digest& name) -> std::optional<std::optional<oci::Digest>> {
      const auto part = graph_.parts.find(name);
      if (part == graph_.parts.end()) return std::nullopt;
      if (part->second.blob && !graph_.blobs.contains(*part->second.blob)) return std::nullopt;
      if (!snapshot(part->second.snapshot)) return std::nullopt;
      return part->second.below;
    });
  }

 private:
  bool snapshot(const std::optional<oci::Digest>& top) {
    return snapshots_.holds(top, [this](const oci::Digest& chain) -> std::optional<std::optional<oci::Digest>> {
      const auto found = graph_.snapshots.find(chain);
      if (found == graph_.snapshots.end() || !found->second.usable) return std::nullopt;
      return found->second.parent;
    });
  }

  const Graph& graph_;
  Grounds parts_, snapshots_;
};

/// What leases use: nothing may take it, whatever the limit.
void mark_leases(const Graph& graph, Completeness& complete, Marker& marker) {
  for (const auto& digest : graph.leased_blobs) marker.blob(digest);
  for (const auto& chain : graph.leased_snapshots) marker.snapshot(chain);
  for (const auto& record : graph.records) {
    if (graph.leased_records.contains(record.key) && complete(record)) marker.record(record);
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

/// What nothing may take: leases, names and what was pushed.
Marker mark_roots(const Graph& graph, Completeness& complete) {
  Marker marker(graph);
  mark_leases(graph, complete, marker);
  for (const auto& target : graph.names) marker.blob(target);
  for (const auto& root : graph.pushed) marker.blob(root);
  return marker;
}

/// What the rest may have.
struct Room {
  const Graph& graph;
  const MarkOptions& options;
  [[nodiscard]] bool holds(const Marker& marker) const {
    return !options.max_size || marker.bytes() + graph.reserved <= *options.max_size;
  }
};

/// False when it does not fit; then nothing of it is marked.
bool mark_record(const Graph::Record& record, const Room& room, Marker& marker) {
  const std::size_t before = marker.position();
  marker.record(record);
  if (room.holds(marker)) return true;
  marker.undo_to(before);
  marker.drop_record(record);
  return false;
}

bool mark_mirrored(const Graph::Mirrored& mirrored, const Room& room, Marker& marker) {
  const std::size_t before = marker.position();
  marker.blob(mirrored.digest);
  if (room.holds(marker)) return true;
  marker.undo_to(before);
  return false;
}

/// Records and what mirrors have, in one order of their last use. The first of a kind that does not fit ends its kind:
/// whatever of it was used less recently goes too.
void mark_by_use(const Graph& graph, const Room& room, Completeness& complete, Marker& marker) {
  if (room.options.drop_records) return;
  auto record = graph.records.begin();
  auto mirrored = graph.mirrored.begin();
  while (record != graph.records.end() || mirrored != graph.mirrored.end()) {
    const bool is_record =
        mirrored == graph.mirrored.end() || (record != graph.records.end() && record->last_used >= mirrored->last_used);
    if (!is_record) {
      mirrored = mark_mirrored(*mirrored, room, marker) ? mirrored + 1 : graph.mirrored.end();
    } else if (graph.leased_records.contains(record->key) || !complete(*record)) {
      ++record;  // marked already, or of no use
    } else {
      record = mark_record(*record, room, marker) ? record + 1 : graph.records.end();
    }
  }
}

Live mark_all_but_caches(const Graph& graph, const MarkOptions& options) {
  Completeness complete(graph);
  Marker marker = mark_roots(graph, complete);
  marker.snapshots_of_marked_manifests();
  const Room room{graph, options};
  if (room.holds(marker)) {
    mark_by_use(graph, room, complete, marker);
    return marker.take();
  }
  // Too much even without records: the snapshots of named images can be made again from their blobs.
  Marker least = mark_roots(graph, complete);
  for (const auto& mirrored : graph.mirrored)
    if (options.drop_records || !mark_mirrored(mirrored, room, least)) break;
  return least.take();
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
