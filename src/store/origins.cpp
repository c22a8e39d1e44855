#include "store/origins.hpp"

#include <algorithm>

#include "store/origin_rows.hpp"
#include "store/state.hpp"

namespace slipway::store {
namespace {

// No host is called so.
constexpr std::string_view kImage = "(image)";
constexpr std::string_view kFolder = "(folder)";

Result<bool> is_noted(Connection& db, const Origin& origin, const oci::Digest& blob) {
  return TRY(db.number("SELECT 1 FROM origin_links JOIN origins ON origin = id WHERE registry = ? AND repository = ?"
                       " AND blob = ?",
                       {origin.registry, origin.repository, blob}))
      .has_value();
}

Status write(Connection& db, const Origin& origin, const oci::Digest& blob) {
  TRY(db.run("INSERT OR IGNORE INTO origins (registry, repository) VALUES (?, ?)",
             {origin.registry, origin.repository}));
  TRY(
      db.run("INSERT OR IGNORE INTO origin_links SELECT id, digest FROM origins, blobs WHERE registry = ?"
             " AND repository = ? AND digest = ?",
             {origin.registry, origin.repository, blob}));
  return {};
}

/// Links of origins that are gone, and origins without links.
Status drop_loose_ends(Connection& db) {
  TRY(db.run("DELETE FROM origin_links WHERE origin NOT IN (SELECT id FROM origins)"));
  TRY(db.run("DELETE FROM origins WHERE NOT EXISTS (SELECT 1 FROM origin_links WHERE origin = id)"));
  return {};
}

}  // namespace

Origin Origin::image(const oci::Digest& document) { return {std::string(kImage), document.text()}; }
Origin Origin::folder(std::string_view path) { return {std::string(kFolder), std::string(path)}; }
bool Origin::is_folder() const { return registry == kFolder; }

Result<bool> Origins::has(const Origin& origin, const oci::Digest& blob) const {
  return is_noted(*store_->state_->core->database.lock(), origin, blob);
}

Result<std::optional<std::string>> Origins::repository_with(std::string_view registry, const oci::Digest& blob) const {
  auto db = store_->state_->core->database.lock();
  Rows rows =
      TRY(db->query("SELECT repository FROM origin_links JOIN origins ON origin = id WHERE blob = ? AND registry = ?"
                    " ORDER BY id DESC LIMIT 1",
                    {blob, registry}));
  if (!TRY(rows.next())) return std::nullopt;
  return rows.text(0);
}

Status Origins::note(const Origin& origin, std::span<const oci::Digest> blobs) const {
  Core& core = *store_->state_->core;
  const auto attempt = [&]() -> Status {
    auto db = core.database.lock();
    std::vector<oci::Digest> fresh;
    for (const auto& blob : blobs)
      if (!TRY(is_noted(*db, origin, blob))) fresh.push_back(blob);
    if (fresh.empty()) return {};
    Txn txn = TRY(Txn::write(*db));
    for (const auto& blob : fresh) TRY(write(*db, origin, blob));
    return txn.commit();
  };
  return context(explain_full(core, attempt()), "while noting where a blob came from");
}

Status Origins::forget(const Origin& origin, const oci::Digest& blob) const {
  auto db = store_->state_->core->database.lock();
  if (!TRY(is_noted(*db, origin, blob))) return {};
  Txn txn = TRY(Txn::write(*db));
  TRY(
      db->run("DELETE FROM origin_links WHERE blob = ? AND origin = (SELECT id FROM origins WHERE registry = ?"
              " AND repository = ?)",
              {blob, origin.registry, origin.repository}));
  return txn.commit();
}

Status drop_origins(Connection& db, const std::vector<oci::Digest>& blobs) {
  if (blobs.empty()) return {};
  for (const auto& blob : blobs) {
    TRY(db.run("DELETE FROM origin_links WHERE blob = ?", {blob}));
    TRY(db.run("DELETE FROM origins WHERE registry = ? AND repository = ?", {kImage, blob.text()}));
  }
  return drop_loose_ends(db);
}

std::string own_everything() {
  constexpr std::string_view text = "CASE length(owner) WHEN 64 THEN 'sha512:' ELSE 'sha256:' END || lower(hex(owner))";
  return fmt::format(
      "INSERT OR IGNORE INTO origins (registry, repository) SELECT DISTINCT '{0}', {1} FROM refs"
      " JOIN blobs ON digest = child WHERE kind IN (0, 1);\n"
      "INSERT OR IGNORE INTO origin_links SELECT id, child FROM refs JOIN blobs ON digest = child"
      " JOIN origins ON registry = '{0}' AND repository = {1} WHERE kind IN (0, 1);\n",
      kImage, text);
}

std::vector<SavedOrigin> save_origins(Connection& db) {
  std::vector<SavedOrigin> saved;
  auto rows = db.query("SELECT registry, repository, blob FROM origin_links JOIN origins ON origin = id");
  if (!rows) return saved;
  while (true) {
    const auto more = rows->next();
    if (!more || !*more) return saved;
    if (auto blob = rows->digest(2)) saved.push_back({rows->text(0), rows->text(1), *blob});
  }
}

Status restore_origins(Connection& db, const std::vector<SavedOrigin>& saved) {
  for (const auto& [registry, repository, blob] : saved) TRY(write(db, {registry, repository}, blob));
  return drop_loose_ends(db);
}

}  // namespace slipway::store
