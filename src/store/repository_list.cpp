// What repositories hold, as people look at it and remove it.
#include <algorithm>
#include <functional>

#include "store/mark.hpp"
#include "store/repositories.hpp"
#include "store/repository_rows.hpp"
#include "store/state.hpp"

namespace slipway::store {
namespace {

/// Bytes of what `digest` needs, itself included, as far as they are here.
Result<std::int64_t> size_of(Connection& db, const oci::Digest& digest) {
  std::int64_t bytes = 0;
  for (const auto& blob : TRY(reach(db, digest)))
    bytes += TRY(db.number("SELECT size FROM blobs WHERE digest = ?", {blob})).value_or(0);
  return bytes;
}

Result<std::vector<std::string>> tags_of(Connection& db, std::int64_t repository, const oci::Digest& digest) {
  std::vector<std::string> tags;
  Rows rows = TRY(db.query("SELECT tag FROM repository_tags WHERE repository = ? AND target = ? ORDER BY tag",
                           {repository, digest}));
  while (TRY(rows.next())) tags.push_back(rows.text(0));
  return tags;
}

/// An index of the repository that names the manifest, if any.
Result<std::optional<oci::Digest>> index_of(Connection& db, std::int64_t repository, const oci::Digest& digest) {
  Rows rows =
      TRY(db.query("SELECT owner FROM refs CROSS JOIN repository_links ON digest = owner AND repository_links.kind = 1"
                   " WHERE repository = ? AND child = ? AND refs.kind = 1 AND owner <> child LIMIT 1",
                   {repository, digest}));
  if (!TRY(rows.next())) return std::nullopt;
  return TRY(rows.digest(0));
}

Result<std::vector<oci::Digest>> children_of(Connection& db, const oci::Digest& owner, Need kind) {
  std::vector<oci::Digest> children;
  Rows rows = TRY(db.query("SELECT child FROM refs WHERE owner = ? AND kind = ?", {owner, static_cast<int>(kind)}));
  while (TRY(rows.next())) children.push_back(TRY(rows.digest(0)));
  return children;
}

/// Links of blobs that `manifest` named and nothing else in the repository names.
Status drop_blob_links(Connection& db, std::int64_t repository, const oci::Digest& manifest) {
  for (const auto& blob : TRY(children_of(db, manifest, Need::kBlob))) {
    const auto named =
        TRY(db.number("SELECT 1 FROM refs CROSS JOIN repository_links ON digest = owner AND repository_links.kind = 1"
                      " WHERE repository = ? AND child = ? LIMIT 1",
                      {repository, blob}));
    if (!named)
      TRY(db.run("DELETE FROM repository_links WHERE repository = ? AND digest = ? AND kind = 0", {repository, blob}));
  }
  return {};
}

/// What gc would keep now, but for meta.db.
Result<std::int64_t> live_bytes(const Core& core, Connection& db) {
  const Txn txn = TRY(Txn::read(db));
  const Graph graph = TRY(read_graph(db, core.boot));
  return mark(graph, {}).bytes - graph.meta_bytes;
}

/// One removal: what must go goes, in one transaction. The store is measured before and after, while others may write.
class Removal {
 public:
  static Result<Removed> run(Core& core, std::string_view scope, std::string_view name,
                             const std::function<Status(Removal&)>& what) {
    auto db = core.database.lock();
    const std::int64_t before = TRY(live_bytes(core, *db));
    Txn txn = TRY(Txn::write(*db));
    const auto repository = TRY(find_repository(*db, scope, name));
    if (!repository) return fail(Code::kNotFound, "there is no repository {}", name);
    Removal removal(*db, *repository);
    TRY(what(removal));
    TRY(drop_empty_repository(*db, *repository));
    TRY(txn.commit());
    remove_upload_files(core, removal.uploads_);
    removal.removed_.freed_bytes = std::max<std::int64_t>(before - TRY(live_bytes(core, *db)), 0);
    return std::move(removal.removed_);
  }

  [[nodiscard]] std::int64_t repository() const { return repository_; }
  [[nodiscard]] Connection& db() const { return db_; }

  Status tag(const std::string& tag) {
    removed_.tags.push_back(tag);
    TRY(db_.run("DELETE FROM repository_tags WHERE repository = ? AND tag = ?", {repository_, tag}));
    return {};
  }

  /// The manifest, and what stood in the repository because of it.
  Status manifest(const oci::Digest& root) {
    std::vector<oci::Digest> open = {root};
    while (!open.empty()) {
      const oci::Digest digest = open.back();
      open.pop_back();
      if (digest != root &&
          (!TRY(tags_of(db_, repository_, digest)).empty() || TRY(index_of(db_, repository_, digest))))
        continue;
      const int links = TRY(db_.run("DELETE FROM repository_links WHERE repository = ? AND digest = ? AND kind = 1",
                                    {repository_, digest}));
      if (links == 0) continue;
      removed_.manifests.push_back(digest);
      TRY(drop_blob_links(db_, repository_, digest));
      const auto children = TRY(children_of(db_, digest, Need::kManifest));
      open.insert(open.end(), children.begin(), children.end());
    }
    return {};
  }

  Status all() {
    {
      Rows tags = TRY(db_.query("SELECT tag FROM repository_tags WHERE repository = ? ORDER BY tag", {repository_}));
      while (TRY(tags.next())) removed_.tags.push_back(tags.text(0));
      Rows manifests =
          TRY(db_.query("SELECT digest FROM repository_links WHERE repository = ? AND kind = 1", {repository_}));
      while (TRY(manifests.next())) removed_.manifests.push_back(TRY(manifests.digest(0)));
      Rows uploads = TRY(db_.query("SELECT id FROM uploads WHERE repository = ?", {repository_}));
      while (TRY(uploads.next())) uploads_.push_back(uploads.text(0));
    }
    TRY(db_.run("DELETE FROM repository_tags WHERE repository = ?", {repository_}));
    TRY(db_.run("DELETE FROM repository_links WHERE repository = ?", {repository_}));
    TRY(db_.run("DELETE FROM uploads WHERE repository = ?", {repository_}));
    return {};
  }

 private:
  Removal(Connection& db, std::int64_t repository) : db_(db), repository_(repository) {}

  Connection& db_;
  std::int64_t repository_;
  Removed removed_;
  std::vector<std::string> uploads_;
};

}  // namespace

Status drop_empty_repository(Connection& db, std::int64_t repository) {
  TRY(db.run(
      "DELETE FROM repositories WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM repository_links WHERE repository = ?1)"
      " AND NOT EXISTS (SELECT 1 FROM uploads WHERE repository = ?1)",
      {repository}));
  return {};
}

Result<std::vector<RepositorySummary>> Repositories::all(const Store& store) {
  auto db = store.state_->core->database.lock();
  const Txn txn = TRY(Txn::read(*db));
  Rows rows =
      TRY(db->query("SELECT scope, name, (SELECT count(*) FROM repository_tags WHERE repository = id),"
                    " (SELECT count(*) FROM repository_links WHERE repository = id AND kind = 1),"
                    " (SELECT ifnull(sum(size), 0) FROM blobs WHERE digest IN"
                    " (SELECT digest FROM repository_links WHERE repository = id)),"
                    " (SELECT ifnull(max(linked), 0) FROM repository_links WHERE repository = id AND kind = 1),"
                    " (SELECT ifnull(max(used), 0) FROM repository_links WHERE repository = id AND kind = 1)"
                    " FROM repositories ORDER BY scope, name"));
  std::vector<RepositorySummary> all;
  while (TRY(rows.next()))
    all.push_back({.scope = rows.text(0),
                   .name = rows.text(1),
                   .tags = rows.integer(2),
                   .manifests = rows.integer(3),
                   .bytes = rows.integer(4),
                   .linked = rows.integer(5),
                   .used = rows.integer(6)});
  return all;
}

Result<std::vector<RepositoryEntry>> Repositories::entries(std::string_view repository) const {
  auto db = store_->state_->core->database.lock();
  const Txn txn = TRY(Txn::read(*db));
  const auto id = TRY(find_repository(*db, scope_, repository));
  if (!id) return fail(Code::kNotFound, "there is no repository {}", repository);
  std::vector<RepositoryEntry> entries;
  {
    Rows rows =
        TRY(db->query("SELECT digest, media_type, size, linked, used FROM repository_links JOIN blobs USING (digest)"
                      " WHERE repository = ? AND kind = 1 ORDER BY linked DESC, digest",
                      {*id}));
    while (TRY(rows.next())) {
      const oci::Digest digest = TRY(rows.digest(0));
      entries.push_back({.manifest = {digest, rows.text(1), rows.integer(2)},
                         .tags = {},
                         .linked = rows.integer(3),
                         .used = rows.integer(4)});
    }
  }
  for (auto& entry : entries) {
    entry.tags = TRY(tags_of(*db, *id, entry.manifest.digest));
    entry.listed = TRY(index_of(*db, *id, entry.manifest.digest)).has_value();
    entry.bytes = TRY(size_of(*db, entry.manifest.digest));
  }
  std::ranges::stable_sort(entries, [](const RepositoryEntry& one, const RepositoryEntry& other) {
    if (one.tags.empty() || other.tags.empty()) return !one.tags.empty() && other.tags.empty();
    return one.tags.front() < other.tags.front();
  });
  return entries;
}

Result<Removed> Repositories::drop_tag(std::string_view repository, std::string_view tag) {
  const auto what = [&](Removal& removal) -> Status {
    std::optional<oci::Digest> target;
    {
      Rows rows = TRY(removal.db().query("SELECT target FROM repository_tags WHERE repository = ? AND tag = ?",
                                         {removal.repository(), tag}));
      if (TRY(rows.next())) target = TRY(rows.digest(0));
    }
    if (!target) return fail(Code::kNotFound, "{} has no tag {}", repository, tag);
    TRY(removal.tag(std::string(tag)));
    const bool kept = !TRY(tags_of(removal.db(), removal.repository(), *target)).empty() ||
                      TRY(index_of(removal.db(), removal.repository(), *target)).has_value();
    return kept ? Status() : removal.manifest(*target);
  };
  auto removed = TRY(Removal::run(*store_->state_->core, scope_, repository, what));
  TRY(store_->flush());
  return removed;
}

Result<Removed> Repositories::drop_manifest(std::string_view repository, const oci::Digest& digest) {
  const auto what = [&](Removal& removal) -> Status {
    const auto known =
        TRY(removal.db().number("SELECT 1 FROM repository_links WHERE repository = ? AND digest = ? AND kind = 1",
                                {removal.repository(), digest}));
    if (!known) return fail(Code::kNotFound, "{} has no manifest {}", repository, digest.text());
    if (const auto index = TRY(index_of(removal.db(), removal.repository(), digest)))
      return fail(Code::kFailedPrecondition, "{} is part of the index {}: remove that", digest.text(), index->text());
    for (const auto& tag : TRY(tags_of(removal.db(), removal.repository(), digest))) TRY(removal.tag(tag));
    return removal.manifest(digest);
  };
  auto removed = TRY(Removal::run(*store_->state_->core, scope_, repository, what));
  TRY(store_->flush());
  return removed;
}

Result<Removed> Repositories::drop_repository(std::string_view repository) {
  auto removed =
      TRY(Removal::run(*store_->state_->core, scope_, repository, [](Removal& removal) { return removal.all(); }));
  TRY(store_->flush());
  return removed;
}

}  // namespace slipway::store
