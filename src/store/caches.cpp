// Cache mounts: trees that only grow. Each use works on an upper directory of its own over what was there when it began
// and adds it as one more layer when it succeeded, so uses never see half of each other and a failed one leaves
// nothing.
#include "base/text.hpp"
#include "base/time.hpp"
#include "store/core.hpp"
#include "store/draft.hpp"
#include "store/state.hpp"
#include "sys/file.hpp"

namespace slipway::store {
namespace {

bool usable(const Core& core, Rows& rows) { return rows.integer(2) != 0 || rows.text(1) == core.boot; }

Result<std::vector<std::string>> layers_of(Core& core, Connection& db, const oci::Digest& cache) {
  Rows rows = TRY(
      db.query("SELECT directory, boot, durable FROM cache_layers WHERE cache = ? ORDER BY position DESC", {cache}));
  std::vector<std::string> layers;
  while (TRY(rows.next())) {
    layers.push_back(core.snapshot_path(rows.text(0)));
    struct stat info{};
    // A cache with a hole is none: whatever was in it can be made again.
    if (!usable(core, rows) || ::lstat(layers.back().c_str(), &info) < 0) return std::vector<std::string>{};
  }
  return layers;
}

Result<bool> used_by_others(Connection& db, std::string_view lease, const oci::Digest& cache) {
  return TRY(db.number("SELECT 1 FROM lease_needs WHERE kind = ? AND digest = ? AND lease <> ?",
                       {static_cast<int>(Need::kCache), cache, lease}))
      .has_value();
}

}  // namespace

Result<std::vector<std::string>> Store::acquire_cache(const Lease& lease, const oci::Digest& cache) {
  Core& core = *state_->core;
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease.id()));
  TRY(claim(*db, lease.id(), Need::kCache, cache));
  auto layers = TRY(layers_of(core, *db, cache));
  if (layers.empty())
    TRY(db->run("DELETE FROM cache_layers WHERE cache = ?", {cache}));
  else
    TRY(db->run("UPDATE cache_layers SET last_used = ? WHERE cache = ?", {now().seconds, cache}));
  TRY(txn.commit());
  return layers;
}

Status SnapshotDraft::State::add_to_cache(const oci::Digest& cache, std::optional<std::int64_t> replaced) {
  const std::int64_t bytes = tree_size(AT_FDCWD, directory + "/fs");
  if (core->max_size > 0 && bytes > reserved) reserved += TRY(store::reserve(*core, lease, bytes - reserved, 0));
  auto db = core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease));
  TRY(unreserve(*db, lease, reserved));
  if (replaced) {
    // Layers that others have mounted must stay in place, and only rows keep gc away from them.
    const auto layers = TRY(db->number("SELECT count(*) FROM cache_layers WHERE cache = ?", {cache}));
    if (layers != replaced || TRY(used_by_others(*db, lease, cache))) return {};
    TRY(db->run("DELETE FROM cache_layers WHERE cache = ?", {cache}));
  }
  const std::int64_t position =
      TRY(db->number("SELECT max(position) + 1 FROM cache_layers WHERE cache = ?", {cache})).value_or(0);
  TRY(db->run("INSERT INTO cache_layers VALUES (?, ?, ?, ?, ?, 0, ?)",
              {cache, position, name, bytes, core->boot, now().seconds}));
  TRY(txn.commit());
  reserved = 0;
  named = true;
  (void)core->remove_tree(AT_FDCWD, directory + "/work");
  return {};
}

Status SnapshotDraft::extend_cache(const oci::Digest& cache) {
  return context(explain_full(*state_->core, state_->add_to_cache(cache, std::nullopt)), "while keeping a cache mount");
}

Status SnapshotDraft::replace_cache(const oci::Digest& cache, std::size_t layers) {
  return context(explain_full(*state_->core, state_->add_to_cache(cache, static_cast<std::int64_t>(layers))),
                 "while keeping a cache mount");
}

}  // namespace slipway::store
