#include "store/origins.hpp"

#include <algorithm>
#include <cstdlib>

#include "base/time.hpp"
#include "store/core.hpp"
#include "store/origin_rows.hpp"
#include "store/state.hpp"

namespace slipway::store {
namespace {

// No host is called so.
constexpr std::string_view kImage = "(image)";
constexpr std::string_view kImageOf = "(image ";
constexpr std::string_view kFolder = "(folder)";
/// A note that is younger is not renewed.
constexpr std::int64_t kRenewAfter = 60 * 60;

bool lasts(const Origin& origin) { return origin.registry.starts_with('('); }
bool is_young(std::int64_t noted, std::int64_t age) { return std::abs(now().seconds - noted) <= age; }

/// When it was noted last.
Result<std::optional<std::int64_t>> noted(Connection& db, const Origin& origin, const oci::Digest& blob) {
  return db.number(
      "SELECT noted FROM origin_links JOIN origins ON origin = id WHERE registry = ? AND repository = ?"
      " AND blob = ?",
      {origin.registry, origin.repository, blob});
}

Status write(Connection& db, const Origin& origin, const oci::Digest& blob, std::int64_t when) {
  TRY(db.run("INSERT OR IGNORE INTO origins (registry, repository) VALUES (?, ?)",
             {origin.registry, origin.repository}));
  TRY(
      db.run("INSERT OR REPLACE INTO origin_links SELECT id, digest, ? FROM origins, blobs WHERE registry = ?"
             " AND repository = ? AND digest = ?",
             {when, origin.registry, origin.repository, blob}));
  return {};
}

Status remove(Connection& db, const Origin& origin, const oci::Digest& blob) {
  TRY(
      db.run("DELETE FROM origin_links WHERE blob = ? AND origin = (SELECT id FROM origins WHERE registry = ?"
             " AND repository = ?)",
             {blob, origin.registry, origin.repository}));
  return {};
}

/// Notes of images whose document is not here are of no use: it will have to come first.
Result<bool> is_missing(Connection& db, const Origin& origin) {
  if (!origin.registry.starts_with(kImageOf)) return false;
  const auto document = TRY(oci::Digest::parse(
      std::string_view(origin.registry).substr(kImageOf.size(), origin.registry.size() - kImageOf.size() - 1)));
  return !TRY(db.number("SELECT 1 FROM blobs WHERE digest = ?", {document})).has_value();
}

/// Links of origins that are gone, and origins without links.
Status drop_loose_ends(Connection& db) {
  TRY(db.run("DELETE FROM origin_links WHERE origin NOT IN (SELECT id FROM origins)"));
  TRY(db.run("DELETE FROM origins WHERE NOT EXISTS (SELECT 1 FROM origin_links WHERE origin = id)"));
  return {};
}

}  // namespace

Origin Origin::image(const oci::Digest& document) { return {std::string(kImage), document.text()}; }
Origin Origin::image_of(const Origin& repository, const oci::Digest& document) {
  return {fmt::format("{}{})", kImageOf, document.text()), repository.registry + "/" + repository.repository};
}
Origin Origin::folder(std::string_view path) { return {std::string(kFolder), std::string(path)}; }
bool Origin::is_folder() const { return registry == kFolder; }
std::string Origin::given_by() const { return registry.starts_with(kImageOf) ? repository : std::string(); }

Result<bool> Origins::has(const Origin& origin, const oci::Digest& blob) const {
  const auto when = TRY(noted(*store_->state_->core->database.lock(), origin, blob));
  return when && (lasts(origin) || is_young(*when, kFresh));
}

Result<bool> Origins::had(const Origin& origin, const oci::Digest& blob) const {
  return TRY(noted(*store_->state_->core->database.lock(), origin, blob)).has_value();
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
    for (const auto& blob : blobs) {
      const auto when = TRY(noted(*db, origin, blob));
      if (!when || (!lasts(origin) && !is_young(*when, kRenewAfter))) fresh.push_back(blob);
    }
    if (fresh.empty() || TRY(is_missing(*db, origin))) return {};
    Txn txn = TRY(Txn::write(*db));
    for (const auto& blob : fresh) TRY(write(*db, origin, blob, now().seconds));
    return txn.commit();
  };
  return context(explain_full(core, attempt()), "while noting where a blob came from");
}

Status Origins::forget(const Origin& origin, const oci::Digest& blob) const {
  Core& core = *store_->state_->core;
  auto db = core.database.lock();
  if (!TRY(noted(*db, origin, blob))) return {};
  Txn txn = TRY(Txn::write(*db));
  TRY(remove(*db, origin, blob));
  return txn.commit();
}

Status Origins::arrived(const Origin& repository, const oci::Digest& document) const {
  Core& core = *store_->state_->core;
  TRY(note(repository, document));
  const Origin image = Origin::image_of(repository, document);
  std::vector<std::pair<oci::Digest, std::int64_t>> known;
  {
    auto db = core.database.lock();
    Rows rows =
        TRY(db->query("SELECT blob, noted FROM origin_links JOIN origins ON origin = id WHERE registry = ?"
                      " AND repository = ?",
                      {image.registry, image.repository}));
    while (TRY(rows.next())) known.emplace_back(TRY(rows.digest(0)), rows.integer(1));
  }
  // Its own document among them says that all of it was proven (build/bases.hpp).
  std::vector<oci::Digest> old;
  for (const auto& [blob, when] : known) {
    const bool holds = blob == document ? is_young(when, kFresh) : TRY(has(repository, blob));
    if (!holds) old.push_back(blob);
  }
  if (old.empty()) return {};
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  for (const auto& blob : old) TRY(remove(*db, image, blob));
  return txn.commit();
}

Status drop_origins(Connection& db, const std::vector<oci::Digest>& blobs) {
  if (blobs.empty()) return {};
  for (const auto& blob : blobs) {
    TRY(db.run("DELETE FROM origin_links WHERE blob = ?", {blob}));
    TRY(db.run("DELETE FROM origins WHERE registry = ? AND repository = ?", {kImage, blob.text()}));
    TRY(db.run("DELETE FROM origins WHERE registry = ?", {fmt::format("{}{})", kImageOf, blob.text())}));
  }
  return drop_loose_ends(db);
}

std::vector<SavedOrigin> save_origins(Connection& db) {
  std::vector<SavedOrigin> saved;
  auto rows = db.query("SELECT registry, repository, blob, noted FROM origin_links JOIN origins ON origin = id");
  if (!rows) return saved;
  while (true) {
    const auto more = rows->next();
    if (!more || !*more) return saved;
    if (auto blob = rows->digest(2)) saved.push_back({rows->text(0), rows->text(1), *blob, rows->integer(3)});
  }
}

Status restore_origins(Connection& db, const std::vector<SavedOrigin>& saved) {
  for (const auto& [registry, repository, blob, when] : saved) TRY(write(db, {registry, repository}, blob, when));
  return drop_loose_ends(db);
}

}  // namespace slipway::store
