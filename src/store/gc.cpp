// gc: removes what nothing needs.
//
// Rows first: mark and delete in one write transaction, so that nothing can be acquired in between. Then the bytes:
// what lies in blobs/ and snapshots/ without a row and without a claim is moved to work/.trash inside a write
// transaction that looks again, and deleted there after it. A writer claims a digest before it renames bytes to its
// name, and a draft of a snapshot has its lease's id in its name, so neither is ever taken for garbage; a reader that
// acquired has its claim in the transaction in which it saw the row. Holding gc.lock makes the trash ours.
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "base/time.hpp"
#include "store/core.hpp"
#include "store/mark.hpp"
#include "store/origin_rows.hpp"
#include "store/rebuilt.hpp"
#include "store/repositories.hpp"
#include "store/repository_rows.hpp"
#include "store/state.hpp"
#include "sys/file.hpp"
#include "sys/lock.hpp"

namespace slipway::store {
namespace {

constexpr std::size_t kBatch = 64;                            ///< moves of one write transaction
constexpr std::int64_t kFactLife = std::int64_t{30} * 86400;  ///< seconds since a fact was last noted

struct Doomed {
  std::vector<oci::Digest> blobs;
  std::vector<oci::Digest> snapshots;
  std::vector<std::int64_t> records;
  std::vector<oci::Digest> parts;  ///< of records
  std::vector<oci::Digest> caches;
  std::int64_t record_bytes = 0;  ///< of records and their parts
  std::int64_t mirrored = 0;      ///< of the blobs: manifests of mirrors, and their blobs without one
  [[nodiscard]] bool empty() const {
    return blobs.empty() && snapshots.empty() && records.empty() && parts.empty() && caches.empty();
  }
};

Doomed rest_of(const Graph& graph, const Live& live) {
  Doomed doomed;
  for (const auto& [digest, size] : graph.blobs) {
    if (!live.blobs.contains(digest)) doomed.blobs.push_back(digest);
  }
  for (const auto& [chain, snapshot] : graph.snapshots) {
    if (!live.snapshots.contains(chain)) doomed.snapshots.push_back(chain);
  }
  for (const auto& record : graph.records) {
    if (live.records.contains(record.id)) continue;
    doomed.records.push_back(record.id);
    doomed.record_bytes += record.bytes;
  }
  for (const auto& [name, part] : graph.parts) {
    if (live.parts.contains(name)) continue;
    doomed.parts.push_back(name);
    doomed.record_bytes += part.bytes;
  }
  for (const auto& cache : graph.caches) {
    if (!live.caches.contains(cache.key)) doomed.caches.push_back(cache.key);
  }
  doomed.mirrored =
      std::ranges::count_if(graph.mirrored, [&](const auto& unit) { return !live.blobs.contains(unit.digest); });
  return doomed;
}

/// Blobs whose file somebody has locked: a mirror sends it just now.
std::vector<oci::Digest> being_sent(const Core& core, const std::vector<oci::Digest>& blobs) {
  std::vector<oci::Digest> sent;
  for (const auto& digest : blobs)
    if (sys::is_locked(core.blob_path(digest)).value_or(false)) sent.push_back(digest);
  return sent;
}

Result<Doomed> find_doomed(Core& core, Connection& db, const MarkOptions& options) {
  Graph graph = TRY(read_graph(db, core.boot));
  graph.leased_blobs.merge(TRY(kept_after_rebuild(db, now().seconds)));
  while (true) {
    Doomed doomed = rest_of(graph, mark(graph, options));
    const auto sent = being_sent(core, doomed.blobs);
    if (sent.empty()) return doomed;
    graph.leased_blobs.insert(sent.begin(), sent.end());
  }
}

Status delete_rows(Connection& db, const Doomed& doomed) {
  for (const std::int64_t id : doomed.records) TRY(db.run("DELETE FROM records WHERE id = ?", {id}));
  for (const auto& part : doomed.parts) TRY(db.run("DELETE FROM record_parts WHERE part = ?", {part}));
  for (const auto& chain : doomed.snapshots) TRY(db.run("DELETE FROM snapshots WHERE chain = ?", {chain}));
  for (const auto& key : doomed.caches) TRY(db.run("DELETE FROM cache_layers WHERE cache = ?", {key}));
  for (const auto& digest : doomed.blobs) {
    TRY(db.run("DELETE FROM blobs WHERE digest = ?", {digest}));
    TRY(db.run("DELETE FROM layers WHERE blob = ?", {digest}));
    TRY(db.run("DELETE FROM refs WHERE owner = ?", {digest}));
  }
  return drop_origins(db, doomed.blobs);
}

Status remove_rows(Core& core, const MarkOptions& options, GcReport& report) {
  {
    // Usually there is nothing to do: then no writer has to wait.
    auto db = core.database.lock();
    const Txn txn = TRY(Txn::read(*db));
    if (TRY(find_doomed(core, *db, options)).empty() && !TRY(has_stale_links(*db, now().seconds))) return {};
  }
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  const Doomed doomed = TRY(find_doomed(core, *db, options));
  TRY(delete_rows(*db, doomed));
  TRY(remove_stale_links(*db, now().seconds));
  TRY(txn.commit());
  report.removed_blobs += static_cast<std::int64_t>(doomed.blobs.size());
  report.removed_snapshots += static_cast<std::int64_t>(doomed.snapshots.size());
  report.removed_records += static_cast<std::int64_t>(doomed.records.size());
  report.removed_caches += static_cast<std::int64_t>(doomed.caches.size());
  report.removed_mirrored += doomed.mirrored;
  report.freed_bytes += doomed.record_bytes;
  return {};
}

/// A directory of the root, and what tells whether an entry of it is needed.
struct Shelf {
  std::string path;
  Result<bool> (*needed)(Connection& db, const std::string& name);
};

/// Whether a row or a lease needs the blob of this name. Names that are no digest are needed by nobody.
Result<bool> blob_needed(Connection& db, std::string_view prefix, const std::string& name) {
  const auto digest = oci::Digest::parse(std::string(prefix) + name);
  if (!digest) return false;
  if (TRY(db.number("SELECT 1 FROM blobs WHERE digest = ?", {*digest}))) return true;
  return TRY(db.number("SELECT 1 FROM lease_needs WHERE kind = ? AND digest = ?",
                       {static_cast<int>(Need::kBlob), *digest}))
      .has_value();
}

/// A snapshot, a layer of a cache, or the draft of a lease that lives.
Result<bool> snapshot_needed(Connection& db, const std::string& name) {
  if (TRY(db.number("SELECT 1 FROM snapshots WHERE directory = ?", {name}))) return true;
  if (TRY(db.number("SELECT 1 FROM cache_layers WHERE directory = ?", {name}))) return true;
  const std::string lease = name.substr(0, name.find('-'));
  return TRY(db.number("SELECT 1 FROM leases WHERE id = ?", {lease})).has_value();
}

std::vector<Shelf> shelves(const Core& core) {
  return {{core.root + "/blobs/sha256",
           [](Connection& db, const std::string& name) { return blob_needed(db, "sha256:", name); }},
          {core.root + "/blobs/sha512",
           [](Connection& db, const std::string& name) { return blob_needed(db, "sha512:", name); }},
          {core.root + "/snapshots", snapshot_needed}};
}

}  // namespace

std::int64_t tree_size(int at, const std::string& name, int depth) {
  const auto info = sys::lstat_at(at, name);
  if (!info || !*info) return 0;
  if (!S_ISDIR((*info)->st_mode)) return S_ISREG((*info)->st_mode) ? (*info)->st_size : 0;
  const auto dir = sys::open_at(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir || depth > 100) return 0;
  std::int64_t sum = 0;
  const auto names = sys::list_directory(dir->get(), name);
  for (const auto& entry : names ? *names : std::vector<std::string>()) sum += tree_size(dir->get(), entry, depth + 1);
  return sum;
}

namespace {

/// Moves those of `names` that are not needed to the trash.
Status move_batch(Core& core, const Shelf& shelf, std::span<const std::string> names) {
  auto db = core.database.lock();
  const Txn txn = TRY(Txn::write(*db));  // writes nothing: it keeps writers out while we look and move
  for (const auto& name : names) {
    if (TRY(shelf.needed(*db, name))) continue;
    auto moved =
        sys::rename_at(AT_FDCWD, shelf.path + "/" + name, AT_FDCWD, core.trash() + "/" + core.fresh_name("gc"));
    if (!moved && moved.error().sys_errno() != ENOENT) return moved;
  }
  return {};
}

Result<std::int64_t> trash_bytes(const Core& core) {
  const sys::Fd trash = TRY(sys::open(core.trash(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::int64_t sum = 0;
  for (const auto& name : TRY(sys::list_directory(trash.get(), core.trash()))) sum += tree_size(trash.get(), name);
  return sum;
}

Status sweep(Core& core, const Shelf& shelf, GcReport& report, const Cancel& cancel) {
  auto dir = sys::open(shelf.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir && dir.error().sys_errno() == ENOENT) return {};
  const sys::Fd fd = TRY(std::move(dir));
  std::vector<std::string> suspects;
  {
    auto db = core.database.lock();
    const Txn txn = TRY(Txn::read(*db));
    for (auto& name : TRY(sys::list_directory(fd.get(), shelf.path))) {
      if (!TRY(shelf.needed(*db, name))) suspects.push_back(std::move(name));
    }
  }
  for (std::size_t at = 0; at < suspects.size(); at += kBatch) {
    TRY(cancel.check());
    TRY(move_batch(core, shelf, std::span(suspects).subspan(at, std::min(kBatch, suspects.size() - at))));
    report.freed_bytes += TRY(trash_bytes(core));
    TRY(empty_trash(core));
  }
  return {};
}

/// Key files nobody holds. Who waits for one looks at its name again once it has the lock (Store::lock_key).
Status sweep_keys(const Core& core) {
  const std::string path = core.root + "/keys";
  const sys::Fd dir = TRY(sys::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  for (const auto& name : TRY(sys::list_directory(dir.get(), path))) {
    const auto lock = sys::FileLock::try_lock(path + "/" + name, sys::LockKind::kExclusive);
    if (lock) TRY(sys::unlink_at(dir.get(), name));
  }
  return {};
}

Status sweep_facts(Core& core, bool all) {
  auto db = core.database.lock();
  const std::int64_t before = all ? now().seconds + 1 : now().seconds - kFactLife;
  const std::int64_t old = now().seconds - kFactLife;
  static constexpr std::string_view kWhich = " FROM facts WHERE noted < ? AND (kind <> ? OR noted < ?)";
  static const std::string any = fmt::format("SELECT 1{} LIMIT 1", kWhich), drop = fmt::format("DELETE{}", kWhich);
  if (!TRY(db->number(any, {before, kKeptFact, old}))) return {};
  Txn txn = TRY(Txn::write(*db));
  TRY(db->run(drop, {before, kKeptFact, old}));
  return txn.commit();
}

/// Under a limit, what only saves time or tells of the past may have a quarter of it: sums of files and noted builds go
/// before anything that a build would have to make again.
Status shrink_memories(Core& core, std::int64_t max_size) {
  if (TRY(meta_bytes(*core.database.lock())) <= max_size / 4) return {};
  TRY(sweep_facts(core, true));
  return forget_builds(core);
}

/// Gives the pages of meta.db that hold nothing back to the file system, and moves what the WAL holds into it, while
/// nobody waits for that; someone reading or writing may keep it from finishing.
void compact(Core& core) {
  auto db = core.database.lock();
  const auto mode = db->number("PRAGMA auto_vacuum");
  const bool incremental = mode && mode->value_or(0) == 2;
  (void)db->execute(incremental ? "PRAGMA incremental_vacuum" : "PRAGMA auto_vacuum=INCREMENTAL; VACUUM");
  (void)db->execute("PRAGMA wal_checkpoint(PASSIVE)");
}

/// Seconds that an upload which nobody writes is kept, for a client that goes on with it: less when room is wanted.
std::int64_t upload_life(const GcOptions& options) {
  if (options.all) return 60;
  return options.max_size ? 600 : kUploadLife;
}

Status collect_once(Core& core, const GcOptions& options, const Cancel& cancel, GcReport& report) {
  // What needs no database comes first: on a full disk it makes the room for the rest.
  report.freed_bytes += trash_bytes(core).value_or(0);
  TRY(empty_trash(core));
  report.removed_leases += TRY(sweep_leases(core, false));
  report.freed_bytes += TRY(trash_bytes(core));
  TRY(empty_trash(core));
  TRY(cancel.check());
  report.freed_bytes += TRY(sweep_uploads(core, upload_life(options)));
  if (options.max_size) TRY(shrink_memories(core, *options.max_size));
  TRY(remove_rows(core, {.max_size = options.max_size, .drop_records = options.all}, report));
  for (const Shelf& shelf : shelves(core)) TRY(sweep(core, shelf, report, cancel));
  TRY(sweep_keys(core));
  return sweep_facts(core, options.all);
}

}  // namespace

Result<GcReport> collect(Core& core, const GcOptions& options, const Cancel& cancel) {
  GcReport report;
  Status done = collect_once(core, options, cancel, report);
  if (!done && done.error().code() == Code::kResourceExhausted && release_reserve(core))
    done = collect_once(core, options, cancel, report);
  if (!done) return std::unexpected(explain_full(core, std::move(done).error()));
  compact(core);
  fill_reserve(core);
  return report;
}

Result<GcReport> Store::gc(const GcOptions& options, const Cancel& cancel) {
  Core& core = *state_->core;
  const auto lock = [&] { return sys::FileLock::lock(core.gc_lock(), sys::LockKind::kExclusive, cancel); };
  auto held = lock();
  if (!held && held.error().code() == Code::kResourceExhausted && release_reserve(core)) held = lock();
  if (!held) return std::unexpected(explain_full(core, std::move(held).error()));
  return context(collect(core, options, cancel), "while collecting garbage");
}

namespace {

/// What repositories have, apart from what they share with images and build results.
Status add_repositories(Connection& db, Graph& graph, Usage& usage) {
  Rows counts = TRY(db.query("SELECT count(*) FILTER (WHERE scope = ''), count(*) FROM repositories"));
  if (TRY(counts.next())) {
    usage.pushed_count = counts.integer(0);
    usage.mirrored_count = counts.integer(1) - counts.integer(0);
  }
  const auto pushed = std::exchange(graph.pushed, {});
  const auto mirrored = std::exchange(graph.mirrored, {});
  const Live others = mark(graph, {});
  Rows rows =
      TRY(db.query("SELECT digest, size, max(scope = ''), max(scope <> '') FROM repository_links JOIN blobs"
                   " USING (digest) JOIN repositories ON id = repository GROUP BY digest"));
  while (TRY(rows.next())) {
    if (rows.integer(2) != 0) usage.pushed_bytes += rows.integer(1);
    if (rows.integer(3) != 0) usage.mirrored_bytes += rows.integer(1);
    if (!others.blobs.contains(TRY(rows.digest(0)))) usage.only_linked_bytes += rows.integer(1);
  }
  graph.pushed = pushed;
  graph.mirrored = mirrored;
  const std::int64_t unfinished = TRY(db.number("SELECT ifnull(sum(size), 0) FROM uploads")).value_or(0);
  for (std::int64_t* bytes : {&usage.pushed_bytes, &usage.only_linked_bytes, &usage.blob_bytes}) *bytes += unfinished;
  return {};
}

}  // namespace

Result<Usage> Store::usage() const {
  Core& core = *state_->core;
  auto db = core.database.lock();
  const Txn txn = TRY(Txn::read(*db));
  Graph graph = TRY(read_graph(*db, core.boot));
  Usage usage;
  TRY(add_repositories(*db, graph, usage));
  for (const auto& [digest, size] : graph.blobs) usage.blob_bytes += size;
  std::set<std::size_t> trees;
  for (const auto& [chain, snapshot] : graph.snapshots)
    if (trees.insert(snapshot.tree).second) usage.snapshot_bytes += snapshot.tree_bytes;
  for (const auto& cache : graph.caches) usage.cache_bytes += cache.bytes;
  usage.meta_bytes = graph.meta_bytes;
  usage.cache_count = static_cast<std::int64_t>(graph.caches.size());
  usage.blob_count = static_cast<std::int64_t>(graph.blobs.size());
  usage.snapshot_count = static_cast<std::int64_t>(graph.snapshots.size());
  usage.record_count = static_cast<std::int64_t>(graph.records.size());
  usage.name_count = TRY(db->number("SELECT count(*) FROM names")).value_or(0);
  const Live live = mark(graph, {.max_size = {}, .drop_records = true});
  std::int64_t leased_caches = 0;
  for (const auto& cache : graph.caches) leased_caches += cache.leased ? cache.bytes : 0;
  usage.reclaimable_bytes =
      usage.blob_bytes + usage.snapshot_bytes + usage.cache_bytes + usage.meta_bytes - live.bytes - leased_caches;
  return usage;
}

}  // namespace slipway::store
