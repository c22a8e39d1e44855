// Layers and snapshots: which plain bytes a blob holds, and unpacked layers by chain ID.
//
// A snapshot is derived data: it is not fsynced. Its row carries the boot that made it and counts in another boot only
// when a syncfs completed after it (mark_snapshots_durable); otherwise it is unpacked again.
#include <sys/stat.h>

#include "base/text.hpp"
#include "store/core.hpp"
#include "store/draft.hpp"
#include "store/state.hpp"
#include "sys/file.hpp"

namespace slipway::store {

Result<std::optional<Snapshot>> find_snapshot(Core& core, Connection& db, const oci::Digest& chain) {
  Rows rows = TRY(db.query(
      "SELECT parent, diff, empty, tree_bytes, directory FROM snapshots WHERE chain = ? AND (durable OR boot = ?)",
      {chain, core.boot}));
  if (!TRY(rows.next())) return std::nullopt;
  Snapshot snapshot{.chain = {chain}, .parent = {}, .diff = {TRY(rows.digest(1))}, .directory = {}};
  if (!rows.null(0)) snapshot.parent = oci::ChainId{TRY(rows.digest(0))};
  snapshot.empty = rows.integer(2) != 0;
  snapshot.tree_bytes = rows.integer(3);
  snapshot.directory = core.snapshot_path(rows.text(4));
  struct stat info{};
  if (::lstat(snapshot.directory.c_str(), &info) < 0 || !S_ISDIR(info.st_mode)) return std::nullopt;
  return snapshot;
}

namespace {

LayerBlob layer_of(const oci::Digest& blob, std::int64_t size, const oci::Digest& diff, std::int64_t compression,
                   std::int64_t tree_bytes) {
  return {.diff = {diff},
          .blob = {blob, size},
          .compression = static_cast<oci::Compression>(compression),
          .tree_bytes = tree_bytes};
}

}  // namespace

Result<std::vector<LayerBlob>> Store::layer_blobs(const oci::DiffId& diff) const {
  auto db = state_->core->database.lock();
  Rows rows =
      TRY(db->query("SELECT l.blob, b.size, l.compression, l.tree_bytes FROM layers l JOIN blobs b ON b.digest = l.blob"
                    " WHERE l.diff = ? ORDER BY l.blob",
                    {diff.digest}));
  std::vector<LayerBlob> layers;
  while (TRY(rows.next())) {
    const LayerBlob layer =
        layer_of(TRY(rows.digest(0)), rows.integer(1), diff.digest, rows.integer(2), rows.integer(3));
    if (state_->core->has_bytes(layer.blob.digest, layer.blob.size)) layers.push_back(layer);
  }
  return layers;
}

Result<std::optional<LayerBlob>> Store::layer_of_blob(const oci::Digest& digest) const {
  auto db = state_->core->database.lock();
  Rows rows =
      TRY(db->query("SELECT l.diff, b.size, l.compression, l.tree_bytes FROM layers l JOIN blobs b ON b.digest = l.blob"
                    " WHERE l.blob = ?",
                    {digest}));
  if (!TRY(rows.next())) return std::nullopt;
  return layer_of(digest, rows.integer(1), TRY(rows.digest(0)), rows.integer(2), rows.integer(3));
}

Status Store::note_layer(const LayerBlob& layer) {
  auto db = state_->core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  if (!TRY(db->number("SELECT 1 FROM blobs WHERE digest = ?", {layer.blob.digest})))
    return fail(Code::kNotFound, "the store has no blob {}", layer.blob.digest.text());
  // An equal row is left alone: then the transaction writes nothing.
  if (!TRY(db->number("SELECT 1 FROM layers WHERE blob = ? AND diff = ?", {layer.blob.digest, layer.diff.digest}))) {
    TRY(db->run("INSERT OR REPLACE INTO layers VALUES (?, ?, ?, ?)",
                {layer.blob.digest, layer.diff.digest, static_cast<int>(layer.compression), layer.tree_bytes}));
  }
  return txn.commit();
}

Result<std::optional<Snapshot>> Store::acquire_snapshot(const Lease& lease, const oci::ChainId& chain) {
  auto db = state_->core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease.id()));
  auto snapshot = TRY(find_snapshot(*state_->core, *db, chain.digest));
  if (snapshot) TRY(claim(*db, lease.id(), Need::kSnapshot, chain.digest));
  TRY(txn.commit());
  return snapshot;
}

// The row is written_here of nobody: what the tree would be as a change over these parents is not what it was made as.
Result<std::optional<Snapshot>> Store::share_snapshot(const Lease& lease, const oci::ChainId& of,
                                                      const std::optional<oci::ChainId>& parent) {
  Core& core = *state_->core;
  const auto attempt = [&]() -> Result<std::optional<Snapshot>> {
    auto db = core.database.lock();
    Txn txn = TRY(Txn::write(*db));
    TRY(check_lease(*db, lease.id()));
    const auto original = TRY(find_snapshot(core, *db, of.digest));
    if (!original || (parent && !TRY(find_snapshot(core, *db, parent->digest)))) return std::nullopt;
    const oci::ChainId chain = parent ? parent->next(original->diff) : oci::ChainId::first(original->diff);
    if (!TRY(find_snapshot(core, *db, chain.digest))) {
      const std::optional<oci::Digest> below = parent ? std::optional(parent->digest) : std::nullopt;
      TRY(
          db->run("INSERT OR REPLACE INTO snapshots SELECT ?, ?, diff, empty, tree_bytes, 0, boot, durable, directory"
                  " FROM snapshots WHERE chain = ?",
                  {chain.digest, below, of.digest}));
    }
    TRY(claim(*db, lease.id(), Need::kSnapshot, chain.digest));
    auto shared = TRY(find_snapshot(core, *db, chain.digest));
    TRY(txn.commit());
    return shared;
  };
  return context(explain_full(core, attempt()), "while storing a snapshot");
}

// The list is taken before the syncfs and only what is on it is marked after: a snapshot that comes meanwhile is not
// covered. A tree is complete before its row's commit, so the sync has seen it.
Status Store::mark_snapshots_durable() {
  Core& core = *state_->core;
  std::vector<oci::Digest> chains;
  std::vector<std::string> caches;
  {
    auto db = core.database.lock();
    Rows rows = TRY(db->query("SELECT chain FROM snapshots WHERE boot = ? AND NOT durable", {core.boot}));
    while (TRY(rows.next())) chains.push_back(TRY(rows.digest(0)));
    Rows layers = TRY(db->query("SELECT directory FROM cache_layers WHERE boot = ? AND NOT durable", {core.boot}));
    while (TRY(layers.next())) caches.push_back(layers.text(0));
  }
  if (chains.empty() && caches.empty()) return {};
  TRY(sys::sync_file_system(core.directory.get(), core.root));
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  for (const auto& chain : chains)
    TRY(db->run("UPDATE snapshots SET durable = 1 WHERE chain = ? AND boot = ?", {chain, core.boot}));
  for (const auto& directory : caches)
    TRY(db->run("UPDATE cache_layers SET durable = 1 WHERE directory = ?", {directory}));
  return txn.commit();
}

Result<Snapshot> SnapshotDraft::State::commit(const Facts& facts) {
  const oci::ChainId chain = facts.parent ? facts.parent->next(facts.diff) : oci::ChainId::first(facts.diff);
  if (core->max_size > 0 && facts.tree_bytes > reserved)
    reserved += TRY(store::reserve(*core, lease, facts.tree_bytes - reserved, 0));
  auto db = core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease));
  TRY(claim(*db, lease, Need::kSnapshot, chain.digest));
  TRY(unreserve(*db, lease, reserved));
  if (auto existing = TRY(find_snapshot(*core, *db, chain.digest))) {
    TRY(txn.commit());
    reserved = 0;
    return *existing;
  }
  if (facts.parent && !TRY(find_snapshot(*core, *db, facts.parent->digest))) {
    return fail(Code::kFailedPrecondition, "the parent {} of the snapshot {} is not here", facts.parent->digest.text(),
                chain.digest.text());
  }
  const std::optional<oci::Digest> parent = facts.parent ? std::optional(facts.parent->digest) : std::nullopt;
  TRY(db->run(
      "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
      {chain.digest, parent, facts.diff.digest, facts.empty, facts.tree_bytes, facts.written_here, core->boot, name}));
  TRY(txn.commit());
  reserved = 0;
  named = true;
  (void)core->remove_tree(AT_FDCWD, directory + "/work");
  return Snapshot{.chain = chain,
                  .parent = facts.parent,
                  .diff = facts.diff,
                  .empty = facts.empty,
                  .directory = core->snapshot_path(name),
                  .tree_bytes = facts.tree_bytes};
}

SnapshotDraft::SnapshotDraft(std::unique_ptr<State> state) : state_(std::move(state)) {}
SnapshotDraft::SnapshotDraft(SnapshotDraft&&) noexcept = default;
SnapshotDraft& SnapshotDraft::operator=(SnapshotDraft&&) noexcept = default;
SnapshotDraft::~SnapshotDraft() = default;
const std::string& SnapshotDraft::directory() const { return state_->directory; }

Status SnapshotDraft::reserve(std::int64_t bytes) {
  if (state_->core->max_size <= 0 || bytes <= state_->reserved) return {};
  state_->reserved += TRY(store::reserve(*state_->core, state_->lease, bytes - state_->reserved, 0));
  return {};
}

Result<Snapshot> SnapshotDraft::commit(const Facts& facts) {
  return context(explain_full(*state_->core, state_->commit(facts)), "while storing a snapshot");
}

Result<SnapshotDraft> Store::draft_snapshot(const Lease& lease) {
  const std::shared_ptr<Core>& core = state_->core;
  const auto make = [&](const std::string& name, mode_t mode) -> Status {
    if (::mkdir(name.c_str(), mode) < 0) return fail_errno("cannot create {}", printable(name));
    if (::chmod(name.c_str(), mode) < 0) return fail_errno("cannot set the mode of {}", printable(name));  // umask
    return {};
  };
  // The lease's id in the name keeps gc away until a row does.
  auto state = std::make_unique<SnapshotDraft::State>(core, lease.id(), core->fresh_name(lease.id()));
  const std::string& path = state->directory;
  const auto make_all = [&]() -> Status {
    TRY(make(path, 0700));
    TRY(make(path + "/fs", 0755));
    return make(path + "/work", 0700);
  };
  if (Status made = explain_full(*core, make_all()); !made) return std::unexpected(std::move(made).error());
  return SnapshotDraft(std::move(state));
}

}  // namespace slipway::store
