// Rebuilding a lost or broken meta.db from what lies in blobs/ (R8).
//
// The new database is made beside the old name and renamed to it when it is whole: a crash in between leaves no
// meta.db, and the next open starts again. Processes that still have the old file open notice at their next write
// transaction (Connection::still_there).
#include <algorithm>
#include <map>
#include <set>

#include "base/text.hpp"
#include "base/time.hpp"
#include "oci/image.hpp"
#include "store/core.hpp"
#include "store/origin_rows.hpp"
#include "store/rebuilt.hpp"
#include "store/repository_rows.hpp"
#include "sys/file.hpp"

namespace slipway::store {
namespace {

constexpr std::string_view kAside = "meta.db.broken-";
constexpr std::int64_t kKeptSeconds = 86400;

/// Where images go whose names are lost: as dangling entries, so that they are seen and gc leaves them alone.
constexpr std::string_view kScope = "default";

struct SavedName {
  std::string scope;
  std::string reference;
  oci::Digest target;
  std::string media_type;
  std::int64_t created;
  std::string word;
};

/// meta.db, if any, becomes meta.db.broken-<time>[-n], its WAL with it. Gives its new path. Of one that is lost an
/// empty file of that name says so.
Result<std::string> set_aside(const Core& core) {
  const std::string path = core.database_path();
  const std::string base = fmt::format("{}/{}{}", core.root, kAside, now().seconds);
  std::string aside = base;
  for (int n = 1; TRY(sys::lstat_at(AT_FDCWD, aside)); ++n) aside = fmt::format("{}-{}", base, n);
  const bool here = TRY(sys::lstat_at(AT_FDCWD, path)).has_value();
  if (here) TRY(sys::rename_at(AT_FDCWD, path, AT_FDCWD, aside));
  if (!here && set_aside_databases(core.root).empty()) TRY(sys::replace_file(aside, "", 0600));
  // A WAL without its file would be replayed into the next one of that name.
  if (TRY(sys::lstat_at(AT_FDCWD, path + "-wal"))) {
    if (here) {
      TRY(sys::rename_at(AT_FDCWD, path + "-wal", AT_FDCWD, aside + "-wal"));
    } else {
      TRY(sys::unlink_at(AT_FDCWD, path + "-wal"));
    }
  }
  TRY(sys::unlink_at(AT_FDCWD, path + "-shm"));
  TRY(sys::sync(core.directory.get(), core.root));
  return here ? aside : std::string();
}

Result<Rows> name_rows(Connection& db) {
  auto rows = db.query("SELECT scope, reference, target, media_type, created, word FROM names");
  if (rows) return rows;
  return db.query("SELECT scope, reference, target, media_type, created, '' FROM names");  // an older schema
}

/// The names that the broken file still gives away; whatever stops it, stops it.
std::vector<SavedName> save_names(Connection& db) {
  std::vector<SavedName> names;
  auto rows = name_rows(db);
  if (!rows) return names;
  while (true) {
    const auto more = rows->next();
    if (!more || !*more) return names;
    auto target = rows->digest(2);
    if (!target) continue;
    names.push_back({rows->text(0), rows->text(1), *target, rows->text(3), rows->integer(4), rows->text(5)});
  }
}

struct Found {
  std::map<oci::Digest, std::int64_t> blobs;
  std::map<oci::Digest, std::string> documents;  ///< manifests and indexes, with their media types
  std::set<oci::Digest> children;                ///< manifests of some index: no images of their own
  std::set<oci::Digest> kept;                    ///< JSON documents, whatever they are, and what they name
};

void look_at_document(const Core& core, const oci::Digest& digest, Found& found) {
  const auto bytes = sys::read_file(core.blob_path(digest), oci::kManifestLimit);
  if (!bytes || !bytes->starts_with('{')) return;
  found.kept.insert(digest);
  if (const auto index = oci::Index::parse(*bytes, "")) {
    found.documents.emplace(digest, index->media_type());
    for (const auto& child : index->manifests()) {
      found.children.insert(child.digest);
      found.kept.insert(child.digest);
    }
  } else if (const auto manifest = oci::Manifest::parse(*bytes, "")) {
    found.documents.emplace(digest, manifest->media_type());
    found.kept.insert(manifest->config().digest);
    for (const auto& layer : manifest->layers()) found.kept.insert(layer.digest);
  }
}

/// Every blob whose bytes are what its name says. Others get no row: fsck names them.
Result<Found> find_blobs(const Core& core) {
  Found found;
  for (const auto algorithm : {oci::Algorithm::kSha256, oci::Algorithm::kSha512}) {
    const bool long_one = algorithm == oci::Algorithm::kSha512;
    const std::string directory = core.root + (long_one ? "/blobs/sha512" : "/blobs/sha256");
    const auto dir = sys::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!dir) continue;
    for (const auto& name : TRY(sys::list_directory(dir->get(), directory))) {
      const auto digest = oci::Digest::parse((long_one ? "sha512:" : "sha256:") + name);
      if (!digest) continue;
      const auto hashed = hash_file(core.blob_path(*digest), algorithm, Cancel());
      if (!hashed || hashed->digest != *digest) continue;
      found.blobs.emplace(*digest, hashed->size);
      if (hashed->size <= oci::kManifestLimit) look_at_document(core, *digest, found);
    }
  }
  return found;
}

Status write_blobs(Core& core, const Found& found) {
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  for (const auto& [digest, size] : found.blobs) TRY(db->run("INSERT INTO blobs VALUES (?, ?)", {digest, size}));
  return txn.commit();
}

Status name_images(Core& core, const Found& found, std::vector<SavedName> names,
                   const SavedRepositories& repositories) {
  std::set<oci::Digest> named;
  for (const auto& link : repositories.links) named.insert(link.digest);
  for (const auto& name : names) named.insert(name.target);
  for (const auto& [digest, media_type] : found.documents) {
    if (!named.contains(digest) && !found.children.contains(digest))
      names.push_back({std::string(kScope), "", digest, media_type, now().seconds, ""});
  }
  for (const auto& name : names) {
    if (!found.blobs.contains(name.target)) continue;
    // What does not parse (any more) is no image: a blob without a name.
    if (!expand_refs(core, name.target, name.media_type)) continue;
    auto db = core.database.lock();
    Txn txn = TRY(Txn::write(*db));
    std::vector<std::string> references;
    if (!name.reference.empty()) references.push_back(name.reference);
    TRY(write_names(*db, name.scope, references, name.target, name.media_type, name.created, name.word));
    TRY(txn.commit());
  }
  return {};
}

/// Nobody knows how much is lost. What can not be read belongs to nobody any more, and is transferred once.
Status write_origins(Core& core, const std::vector<SavedOrigin>& saved) {
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(restore_origins(*db, saved));
  return txn.commit();
}

Status write_kept(Core& core, const Found& found) {
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  const std::int64_t time = now().seconds;
  for (const auto& digest : found.kept) {
    if (!found.blobs.contains(digest)) continue;
    TRY(db->run("INSERT OR REPLACE INTO facts (kind, key, value, noted) VALUES (?, ?, ?, ?)",
                {kKeptFact, Bind::bytes(digest.text()), Bind::bytes(""), time}));
  }
  return txn.commit();
}

Status remove_database(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) TRY(sys::unlink_at(AT_FDCWD, path + suffix));
  return {};
}

/// Moves all of the new database into one durable file and gives it its name.
Status put_in_place(Core& core, const std::string& fresh) {
  auto db = core.database.lock();
  TRY(db->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  db->close();
  {
    const sys::Fd file = TRY(sys::open(fresh, O_RDWR | O_NOFOLLOW));
    TRY(sys::sync(file.get(), fresh));
  }
  TRY(sys::unlink_at(AT_FDCWD, fresh + "-wal"));
  TRY(sys::unlink_at(AT_FDCWD, fresh + "-shm"));
  TRY(sys::rename_at(AT_FDCWD, fresh, AT_FDCWD, core.database_path()));
  TRY(sys::sync(core.directory.get(), core.root));
  *db = TRY(Connection::open(core.database_path(), OpenMode::kExisting));
  return {};
}

}  // namespace

std::vector<std::string> set_aside_databases(const std::string& root) {
  std::vector<std::string> found;
  const auto directory = sys::open(root, O_RDONLY | O_DIRECTORY);
  if (!directory) return found;
  const auto names = sys::list_directory(directory->get(), root);
  for (const auto& name : names ? *names : std::vector<std::string>())
    if (name.starts_with(kAside) && !name.ends_with("-wal") && !name.ends_with("-shm")) found.push_back(name);
  std::ranges::sort(found);
  return found;
}

Result<std::unordered_set<oci::Digest>> kept_after_rebuild(Connection& db, std::int64_t now) {
  std::unordered_set<oci::Digest> kept;
  Rows rows = TRY(db.query("SELECT key FROM facts WHERE kind = ? AND noted > ?", {kKeptFact, now - kKeptSeconds}));
  while (TRY(rows.next()))
    if (auto digest = oci::Digest::parse(rows.text(0))) kept.insert(*digest);
  return kept;
}

Status rebuild(Core& core) {
  core.database.lock()->close();
  const std::string aside = TRY(set_aside(core));
  std::vector<SavedName> names;
  SavedRepositories repositories;
  std::vector<SavedOrigin> origins;
  if (!aside.empty()) {
    if (auto broken = Connection::open(aside, OpenMode::kExisting)) {
      names = save_names(*broken);
      repositories = save_repositories(*broken);
      origins = save_origins(*broken);
    }
  }
  const std::string fresh = core.database_path() + ".new";
  TRY(remove_database(fresh));
  {
    Connection db = TRY(Connection::open(fresh, OpenMode::kCreate));
    TRY(migrate(db));
    *core.database.lock() = std::move(db);
  }
  const Found found = TRY(find_blobs(core));
  TRY(write_blobs(core, found));
  TRY(restore_repositories(core, repositories));
  TRY(name_images(core, found, std::move(names), repositories));
  TRY(write_origins(core, origins));
  TRY(write_kept(core, found));
  return context(put_in_place(core, fresh), "while rebuilding {}", printable(core.database_path()));
}

}  // namespace slipway::store
