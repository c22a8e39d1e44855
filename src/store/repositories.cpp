#include "store/repositories.hpp"

#include <map>
#include <set>

#include "base/time.hpp"
#include "oci/image.hpp"
#include "store/repository_rows.hpp"
#include "store/state.hpp"

namespace slipway::store {
namespace {

constexpr int kBlobLink = static_cast<int>(Need::kBlob);
constexpr int kManifestLink = static_cast<int>(Need::kManifest);

Result<LinkedManifest> manifest_of_row(const Rows& rows) {
  return LinkedManifest{.digest = TRY(rows.digest(0)), .media_type = rows.text(1), .size = rows.integer(2)};
}

/// Those of `wanted` that the repository has no link of `kind` for, or no bytes; those of `named` are known already.
Status add_missing(Connection& db, std::int64_t repository, int kind, const std::vector<oci::Digest>& wanted,
                   std::set<oci::Digest>& named, std::vector<oci::Digest>& missing) {
  for (const oci::Digest& digest : wanted) {
    const auto here =
        TRY(db.number("SELECT 1 FROM repository_links JOIN blobs USING (digest) WHERE repository = ? AND digest = ?"
                      " AND kind = ?",
                      {repository, digest, kind}));
    if (!here && named.insert(digest).second) missing.push_back(digest);
  }
  return {};
}

/// As `names` does for images, without a look at configs: `complete` is left to whoever names the image in a scope.
Status write_manifest_refs(Connection& db, const oci::Digest& owner, const std::vector<oci::Digest>& blobs,
                           const std::vector<oci::Digest>& manifests) {
  for (const auto& child : blobs)
    TRY(db.run("INSERT OR IGNORE INTO refs VALUES (?, ?, ?)", {owner, static_cast<int>(Need::kBlob), child}));
  for (const auto& child : manifests)
    TRY(db.run("INSERT OR IGNORE INTO refs VALUES (?, ?, ?)", {owner, static_cast<int>(Need::kManifest), child}));
  return {};
}

Status write_manifest_link(Connection& db, std::int64_t repository, const NewManifest& manifest, std::int64_t now) {
  TRY(db.run("INSERT OR REPLACE INTO repository_links VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
             {repository, manifest.digest, kManifestLink, manifest.media_type, manifest.subject, now}));
  return write_manifest_refs(db, manifest.digest, manifest.blobs, manifest.manifests);
}

Status write_tag(Connection& db, std::int64_t repository, std::string_view tag, const oci::Digest& target,
                 std::int64_t now) {
  TRY(db.run("INSERT OR REPLACE INTO repository_tags VALUES (?, ?, ?, ?)", {repository, tag, target, now}));
  return {};
}

}  // namespace

Result<std::optional<std::int64_t>> find_repository(Connection& db, std::string_view scope, std::string_view name) {
  return db.number("SELECT id FROM repositories WHERE scope = ? AND name = ?", {scope, name});
}

Result<std::int64_t> repository_id(Connection& db, std::string_view scope, std::string_view name) {
  if (const auto known = TRY(find_repository(db, scope, name))) return *known;
  TRY(db.run("INSERT INTO repositories (scope, name) VALUES (?, ?)", {scope, name}));
  return TRY(find_repository(db, scope, name)).value_or(0);
}

Status write_blob_link(Connection& db, std::int64_t repository, const oci::Digest& digest, std::int64_t now) {
  TRY(db.run("INSERT OR REPLACE INTO repository_links VALUES (?1, ?2, ?3, '', NULL, ?4, ?4)",
             {repository, digest, kBlobLink, now}));
  return {};
}

// ---------------------------------------------------------------- look-ups
Result<bool> Repositories::exists(std::string_view repository) const {
  return TRY(find_repository(*store_->state_->core->database.lock(), scope_, repository)).has_value();
}

Result<std::vector<std::string>> Repositories::list(std::string_view last, std::int64_t most) const {
  auto db = store_->state_->core->database.lock();
  Rows rows = TRY(db->query("SELECT name FROM repositories WHERE scope = ? AND name > ? ORDER BY name LIMIT ?",
                            {scope_, last, most}));
  std::vector<std::string> names;
  while (TRY(rows.next())) names.push_back(rows.text(0));
  return names;
}

Result<std::vector<std::string>> Repositories::tags(std::string_view repository, std::string_view last,
                                                    std::int64_t most) const {
  auto db = store_->state_->core->database.lock();
  Rows rows =
      TRY(db->query("SELECT tag FROM repository_tags JOIN repositories ON id = repository WHERE scope = ? AND name = ?"
                    " AND tag > ? ORDER BY tag LIMIT ?",
                    {scope_, repository, last, most}));
  std::vector<std::string> tags;
  while (TRY(rows.next())) tags.push_back(rows.text(0));
  return tags;
}

Result<std::optional<Tag>> Repositories::find_tag(std::string_view repository, std::string_view tag) const {
  auto db = store_->state_->core->database.lock();
  Rows rows = TRY(db->query(
      "SELECT links.digest, links.media_type, blobs.size, checked FROM repositories JOIN repository_tags AS tags"
      " ON tags.repository = id JOIN repository_links AS links ON links.repository = id AND links.digest = target"
      " AND kind = ? JOIN blobs ON blobs.digest = target WHERE scope = ? AND name = ? AND tag = ?",
      {kManifestLink, scope_, repository, tag}));
  if (!TRY(rows.next())) return std::nullopt;
  LinkedManifest manifest = TRY(manifest_of_row(rows));
  return Tag{std::move(manifest), rows.integer(3)};
}

Result<std::optional<LinkedManifest>> Repositories::find_manifest(std::string_view repository,
                                                                  const oci::Digest& digest) const {
  auto db = store_->state_->core->database.lock();
  Rows rows = TRY(db->query(
      "SELECT links.digest, media_type, size FROM repositories JOIN repository_links AS links ON repository = id"
      " JOIN blobs USING (digest) WHERE scope = ? AND name = ? AND links.digest = ? AND kind = ?",
      {scope_, repository, digest, kManifestLink}));
  if (!TRY(rows.next())) return std::nullopt;
  return TRY(manifest_of_row(rows));
}

Result<std::optional<Blob>> Repositories::find_blob(std::string_view repository, const oci::Digest& digest) const {
  const auto size = TRY(store_->state_->core->database.lock()->number(
      "SELECT size FROM repositories JOIN repository_links AS links ON repository = id JOIN blobs USING (digest)"
      " WHERE scope = ? AND name = ? AND links.digest = ? LIMIT 1",
      {scope_, repository, digest}));
  return size ? std::optional(Blob{digest, *size}) : std::nullopt;
}

Result<std::optional<Blob>> Repositories::find_blob_anywhere(const oci::Digest& digest) const {
  const auto size = TRY(store_->state_->core->database.lock()->number(
      "SELECT size FROM repository_links AS links JOIN repositories ON repository = id JOIN blobs USING (digest)"
      " WHERE links.digest = ? AND scope = ? LIMIT 1",
      {digest, scope_}));
  return size ? std::optional(Blob{digest, *size}) : std::nullopt;
}

Result<std::vector<LinkedManifest>> Repositories::referrers(std::string_view repository, const oci::Digest& subject,
                                                            const std::optional<oci::Digest>& last,
                                                            std::int64_t most) const {
  auto db = store_->state_->core->database.lock();
  Rows rows = TRY(db->query(
      "SELECT links.digest, media_type, size FROM repositories JOIN repository_links AS links ON repository = id"
      " JOIN blobs USING (digest) WHERE scope = ?1 AND name = ?2 AND subject = ?3 AND (?4 IS NULL OR links.digest > ?4)"
      " ORDER BY links.digest LIMIT ?5",
      {scope_, repository, subject, last, most}));
  std::vector<LinkedManifest> found;
  while (TRY(rows.next())) found.push_back(TRY(manifest_of_row(rows)));
  return found;
}

// ---------------------------------------------------------------- changes
Status Repositories::make_room(const Lease& lease, std::int64_t bytes) const {
  Core& core = *store_->state_->core;
  const auto attempt = [&]() -> Status {
    if (const std::int64_t kept = TRY(reserve(core, lease.id(), bytes, 0)); kept > 0) {
      auto db = core.database.lock();
      Txn txn = TRY(Txn::write(*db));
      TRY(unreserve(*db, lease.id(), kept));
      TRY(txn.commit());
    }
    if (free_bytes(core) >= bytes) return {};
    errno = ENOSPC;
    return fail_errno("{} bytes more do not fit", bytes);
  };
  return context(explain_full(core, attempt()), "while making room for a blob");
}

Status Repositories::link_blob(std::string_view repository, const oci::Digest& digest) {
  Core& core = *store_->state_->core;
  const auto attempt = [&]() -> Status {
    auto db = core.database.lock();
    Txn txn = TRY(Txn::write(*db));
    if (!TRY(db->number("SELECT 1 FROM blobs WHERE digest = ?", {digest})))
      return fail(Code::kNotFound, "the store has no blob {}", digest.text());
    const std::int64_t id = TRY(repository_id(*db, scope_, repository));
    TRY(write_blob_link(*db, id, digest, now().seconds));
    return txn.commit();
  };
  TRY(explain_full(core, attempt()));
  return store_->flush();
}

Status Repositories::renew_blob(std::string_view repository, const oci::Digest& digest) {
  static const std::string which =
      " kind = 0 AND digest = ? AND linked < ? AND repository ="
      " (SELECT id FROM repositories WHERE scope = ? AND name = ?)";
  const std::int64_t time = now().seconds;
  const std::int64_t hour_ago = time - 3600;
  auto db = store_->state_->core->database.lock();
  if (!TRY(db->number("SELECT 1 FROM repository_links WHERE" + which, {digest, hour_ago, scope_, repository})))
    return {};
  Txn txn = TRY(Txn::write(*db));
  TRY(db->run("UPDATE repository_links SET linked = ? WHERE" + which, {time, digest, hour_ago, scope_, repository}));
  return txn.commit();
}

Status Repositories::note_use(std::string_view repository, const oci::Digest& digest) {
  static constexpr std::string_view kWhich =
      " kind = 1 AND digest = ? AND used < ? AND repository ="
      " (SELECT id FROM repositories WHERE scope = ? AND name = ?)";
  static const std::string look = fmt::format("SELECT 1 FROM repository_links WHERE{}", kWhich);
  static const std::string note = fmt::format("UPDATE repository_links SET used = ? WHERE{}", kWhich);
  const std::int64_t time = now().seconds;
  auto db = store_->state_->core->database.lock();
  if (!TRY(db->number(look, {digest, time - kUseSeconds, scope_, repository}))) return {};
  Txn txn = TRY(Txn::write(*db));
  TRY(db->run(note, {time, digest, time - kUseSeconds, scope_, repository}));
  return txn.commit();
}

Result<std::vector<oci::Digest>> Repositories::put_manifest(std::string_view repository, const NewManifest& manifest,
                                                            const std::vector<std::string>& tags) {
  Core& core = *store_->state_->core;
  const auto attempt = [&]() -> Result<std::vector<oci::Digest>> {
    auto db = core.database.lock();
    Txn txn = TRY(Txn::write(*db));
    if (!TRY(db->number("SELECT 1 FROM blobs WHERE digest = ?", {manifest.digest})))
      return fail(Code::kNotFound, "the store has no blob {}", manifest.digest.text());
    const std::int64_t id = TRY(repository_id(*db, scope_, repository));
    std::vector<oci::Digest> missing;
    std::set<oci::Digest> named;
    if (!manifest.sparse) {
      TRY(add_missing(*db, id, kBlobLink, manifest.blobs, named, missing));
      TRY(add_missing(*db, id, kManifestLink, manifest.manifests, named, missing));
    }
    if (!missing.empty()) return missing;
    TRY(write_manifest_link(*db, id, manifest, now().seconds));
    for (const auto& tag : tags) TRY(write_tag(*db, id, tag, manifest.digest, now().seconds));
    TRY(txn.commit());
    return missing;
  };
  std::vector<oci::Digest> missing = TRY(explain_full(core, attempt()));
  if (missing.empty()) TRY(store_->flush());
  return missing;
}

Status Repositories::confirm_tag(std::string_view repository, std::string_view tag) {
  auto db = store_->state_->core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(
      db->run("UPDATE repository_tags SET checked = ? WHERE tag = ? AND repository ="
              " (SELECT id FROM repositories WHERE scope = ? AND name = ?)",
              {now().seconds, tag, scope_, repository}));
  return txn.commit();
}

Result<bool> Repositories::remove_tag(std::string_view repository, std::string_view tag) {
  int removed = 0;
  {
    auto db = store_->state_->core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    removed =
        TRY(db->run("DELETE FROM repository_tags WHERE tag = ? AND repository ="
                    " (SELECT id FROM repositories WHERE scope = ? AND name = ?)",
                    {tag, scope_, repository}));
    TRY(txn.commit());
  }
  if (removed > 0) TRY(store_->flush());
  return removed > 0;
}

Result<bool> Repositories::remove_manifest(std::string_view repository, const oci::Digest& digest) {
  int removed = 0;
  {
    auto db = store_->state_->core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    const auto id = TRY(find_repository(*db, scope_, repository));
    if (!id) return false;
    removed = TRY(db->run("DELETE FROM repository_links WHERE repository = ? AND digest = ? AND kind = ?",
                          {*id, digest, kManifestLink}));
    TRY(db->run("DELETE FROM repository_tags WHERE repository = ? AND target = ?", {*id, digest}));
    TRY(txn.commit());
  }
  if (removed > 0) TRY(store_->flush());
  return removed > 0;
}

Result<bool> Repositories::remove_blob(std::string_view repository, const oci::Digest& digest) {
  int removed = 0;
  {
    auto db = store_->state_->core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    removed =
        TRY(db->run("DELETE FROM repository_links WHERE digest = ? AND kind = ? AND repository ="
                    " (SELECT id FROM repositories WHERE scope = ? AND name = ?)",
                    {digest, kBlobLink, scope_, repository}));
    TRY(txn.commit());
  }
  if (removed > 0) TRY(store_->flush());
  return removed > 0;
}

// ---------------------------------------------------------------- gc, fsck, rebuild
Result<std::vector<oci::Digest>> pushed_roots(Connection& db, std::int64_t now) {
  std::vector<oci::Digest> roots;
  Rows rows =
      TRY(db.query("SELECT DISTINCT digest FROM repository_links JOIN repositories ON id = repository"
                   " WHERE scope = '' AND (kind = ? OR linked > ?)",
                   {kManifestLink, now - kUnnamedBlobLife}));
  while (TRY(rows.next())) roots.push_back(TRY(rows.digest(0)));
  return roots;
}

namespace {

/// Of a `link`: a manifest of its repository names it. CROSS JOIN keeps the order: the few that name the blob first,
/// not all links of the repository.
constexpr std::string_view kIsNamed =
    " EXISTS (SELECT 1 FROM refs CROSS JOIN repository_links AS manifest ON manifest.digest = refs.owner"
    " AND manifest.kind = 1 AND manifest.repository = link.repository WHERE refs.child = link.digest)";
constexpr std::string_view kStaleLinks = " FROM repository_links AS link WHERE kind = 0 AND linked <= ? AND NOT";
constexpr std::string_view kLostLinks =
    " FROM repository_links WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.digest = repository_links.digest)";

}  // namespace

Result<std::vector<MirroredRoot>> mirrored_roots(Connection& db, std::int64_t now) {
  static const std::string query = fmt::format(
      "SELECT digest, max(used) FROM repositories CROSS JOIN repository_links AS link ON repository = id WHERE scope "
      "<> ''"
      " AND (kind = 1 OR (linked > ? AND NOT{})) GROUP BY digest ORDER BY max(used) DESC, digest",
      kIsNamed);
  std::vector<MirroredRoot> roots;
  Rows rows = TRY(db.query(query, {now - kUnnamedBlobLife}));
  while (TRY(rows.next())) roots.push_back({TRY(rows.digest(0)), rows.integer(1)});
  return roots;
}

Result<bool> has_stale_links(Connection& db, std::int64_t now) {
  static const std::string stale = fmt::format("SELECT 1{}{} LIMIT 1", kStaleLinks, kIsNamed);
  static const std::string lost = fmt::format("SELECT 1{} LIMIT 1", kLostLinks);
  if (TRY(db.number(stale, {now - kUnnamedBlobLife}))) return true;
  return TRY(db.number(lost)).has_value();
}

Status remove_stale_links(Connection& db, std::int64_t now) {
  static const std::string stale = fmt::format("DELETE{}{}", kStaleLinks, kIsNamed);
  static const std::string lost = fmt::format("DELETE{}", kLostLinks);
  TRY(db.run(stale, {now - kUnnamedBlobLife}));
  TRY(db.run(lost));
  TRY(
      db.run("DELETE FROM repository_tags WHERE NOT EXISTS (SELECT 1 FROM repository_links AS links"
             " WHERE links.repository = repository_tags.repository AND links.digest = target AND kind = 1)"));
  TRY(
      db.run("DELETE FROM repositories WHERE NOT EXISTS (SELECT 1 FROM repository_links WHERE repository = id)"
             " AND NOT EXISTS (SELECT 1 FROM uploads WHERE repository = id)"));
  return {};
}

Result<std::vector<LinkRow>> repository_links(Connection& db) {
  std::vector<LinkRow> links;
  Rows rows =
      TRY(db.query("SELECT id, scope, name, digest, kind FROM repository_links JOIN repositories"
                   " ON repository = id ORDER BY scope, name, digest"));
  while (TRY(rows.next())) {
    const std::string scope = rows.text(1);
    links.push_back({.repository = rows.integer(0),
                     .name = scope.empty() ? rows.text(2) : scope + "/" + rows.text(2),
                     .digest = TRY(rows.digest(3)),
                     .manifest = rows.integer(4) == kManifestLink});
  }
  return links;
}

Status drop_link(Connection& db, const LinkRow& link) {
  TRY(db.run("DELETE FROM repository_links WHERE repository = ? AND digest = ? AND kind = ?",
             {link.repository, link.digest, link.manifest ? kManifestLink : kBlobLink}));
  if (link.manifest)
    TRY(db.run("DELETE FROM repository_tags WHERE repository = ? AND target = ?", {link.repository, link.digest}));
  return {};
}

SavedRepositories save_repositories(Connection& db) {
  SavedRepositories saved;
  const auto links = [&]() -> Status {
    Rows rows =
        TRY(db.query("SELECT scope, name, digest, kind, media_type, subject, linked FROM repository_links"
                     " JOIN repositories ON repository = id"));
    while (TRY(rows.next())) {
      std::optional<oci::Digest> subject;
      if (!rows.null(5)) subject = TRY(rows.digest(5));
      oci::Digest digest = TRY(rows.digest(2));
      saved.links.push_back(
          {rows.text(0), rows.text(1), digest, rows.integer(3), rows.text(4), subject, rows.integer(6)});
    }
    return {};
  };
  const auto tags = [&]() -> Status {
    Rows rows = TRY(
        db.query("SELECT scope, name, tag, target, checked FROM repository_tags JOIN repositories ON repository = id"));
    while (TRY(rows.next())) {
      oci::Digest target = TRY(rows.digest(3));
      saved.tags.push_back({rows.text(0), rows.text(1), rows.text(2), target, rows.integer(4)});
    }
    return {};
  };
  (void)links();
  (void)tags();
  return saved;
}

namespace {

/// What a manifest's bytes name, as put_manifest() was told.
NewManifest read_again(Core& core, const SavedRepositories::Link& link) {
  NewManifest manifest{.digest = link.digest, .media_type = link.media_type, .subject = link.subject};
  const auto bytes = read_blob(core, link.digest, oci::kManifestLimit);
  if (!bytes) return manifest;
  if (const auto index = oci::Index::parse(*bytes, link.media_type)) {
    for (const auto& child : index->manifests()) {  // of an older BuildKit's cache they are layers and a config
      const bool document =
          oci::media_type::is_index(child.media_type) || oci::media_type::is_manifest(child.media_type);
      (document ? manifest.manifests : manifest.blobs).push_back(child.digest);
    }
  } else if (const auto image = oci::Manifest::parse(*bytes, link.media_type)) {
    manifest.blobs.push_back(image->config().digest);
    for (const auto& layer : image->layers()) manifest.blobs.push_back(layer.digest);
  }
  return manifest;
}

}  // namespace

Status restore_repositories(Core& core, const SavedRepositories& saved) {
  std::vector<NewManifest> manifests;
  for (const auto& link : saved.links)
    if (link.kind == kManifestLink) manifests.push_back(read_again(core, link));
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  auto manifest = manifests.begin();
  for (const auto& link : saved.links) {
    const NewManifest* document = link.kind == kManifestLink ? &*manifest++ : nullptr;
    if (!TRY(db->number("SELECT 1 FROM blobs WHERE digest = ?", {link.digest}))) continue;
    const std::int64_t id = TRY(repository_id(*db, link.scope, link.name));
    if (document != nullptr) TRY(write_manifest_link(*db, id, *document, link.linked));
    if (document == nullptr) TRY(write_blob_link(*db, id, link.digest, link.linked));
  }
  for (const auto& tag : saved.tags) {
    const std::int64_t id = TRY(repository_id(*db, tag.scope, tag.name));
    TRY(
        db->run("INSERT OR REPLACE INTO repository_tags SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM"
                " repository_links WHERE repository = ?1 AND digest = ?3 AND kind = 1)",
                {id, tag.tag, tag.target, tag.checked}));
  }
  TRY(db->run("DELETE FROM repositories WHERE NOT EXISTS (SELECT 1 FROM repository_links WHERE repository = id)"));
  return txn.commit();
}

}  // namespace slipway::store
