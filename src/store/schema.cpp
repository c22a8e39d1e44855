#include "store/schema.hpp"

namespace slipway::store {
namespace {

constexpr std::int64_t kApplicationId = 0x534c5057;  // "SLPW"

constexpr const char* kVersion1 = R"sql(
CREATE TABLE blobs (
  digest BLOB PRIMARY KEY,
  size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which plain bytes a layer blob holds; written after they were hashed here.
CREATE TABLE layers (
  blob BLOB PRIMARY KEY,
  diff BLOB NOT NULL,
  compression INTEGER NOT NULL,
  plain_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX layers_by_diff ON layers (diff);

-- A snapshot counts in the boot that made it, or in any once a syncfs after it completed (durable = 1).
CREATE TABLE snapshots (
  chain BLOB PRIMARY KEY,
  parent BLOB,
  diff BLOB NOT NULL,
  empty INTEGER NOT NULL,
  tree_bytes INTEGER NOT NULL,
  written_here INTEGER NOT NULL,
  boot TEXT NOT NULL,
  durable INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- reference '' is a dangling image; a scope may have many.
CREATE TABLE names (
  scope TEXT NOT NULL,
  reference TEXT NOT NULL,
  target BLOB NOT NULL,
  media_type TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (scope, reference, target)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX names_once ON names (scope, reference) WHERE reference <> '';

-- What manifests and indexes point at, parsed once: gc and acquire_name read no documents. kind: enum Need.
CREATE TABLE refs (
  owner BLOB NOT NULL,
  kind INTEGER NOT NULL,
  child BLOB NOT NULL,
  PRIMARY KEY (owner, kind, child)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  last_used INTEGER NOT NULL,
  UNIQUE (scope, key)
) STRICT;
CREATE TABLE record_needs (
  record INTEGER NOT NULL,
  position INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (record, position)
) STRICT, WITHOUT ROWID;

-- A lease's row is there only while its lock is held: written after the lock is taken, removed before it is let go.
CREATE TABLE leases (
  id TEXT PRIMARY KEY,
  purpose TEXT NOT NULL,
  created INTEGER NOT NULL,
  reserved INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Also names what is about to be written: bytes whose row is not there yet.
CREATE TABLE lease_needs (
  lease TEXT NOT NULL,
  kind INTEGER NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (lease, kind, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  noted INTEGER NOT NULL,
  UNIQUE (kind, key)
) STRICT;
)sql";

// The directory of a snapshot is made once and never moves: a step may start over a layer before it has a name.
constexpr const char* kVersion2 = R"sql(
ALTER TABLE snapshots ADD COLUMN directory TEXT NOT NULL DEFAULT '';
UPDATE snapshots SET directory = lower(hex(chain));
ALTER TABLE layers RENAME COLUMN plain_bytes TO tree_bytes;

-- Cache mounts: layers of one tree, the highest position topmost. boot, durable: as of snapshots.
CREATE TABLE cache_layers (
  cache BLOB NOT NULL,
  position INTEGER NOT NULL,
  directory TEXT NOT NULL,
  tree_bytes INTEGER NOT NULL,
  boot TEXT NOT NULL,
  durable INTEGER NOT NULL,
  last_used INTEGER NOT NULL,
  PRIMARY KEY (cache, position)
) STRICT, WITHOUT ROWID;
)sql";

// What `slipway why` tells: recent builds, and what their steps were made from. All of it may be lost.
constexpr const char* kVersion3 = R"sql(
-- position: the order of builds; manifest is NULL when there was no image. document: build/build_account.hpp.
CREATE TABLE builds (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  identity BLOB NOT NULL,
  position INTEGER NOT NULL,
  made INTEGER NOT NULL,
  manifest BLOB,
  config BLOB,
  document BLOB NOT NULL,
  UNIQUE (scope, identity)
) STRICT;
CREATE INDEX builds_by_position ON builds (scope, position);

CREATE TABLE build_inputs (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  UNIQUE (scope, key)
) STRICT;

-- owner: the identity of a build, or the key of an input. What no build reaches goes with the build that did.
CREATE TABLE build_needs (
  scope TEXT NOT NULL,
  owner BLOB NOT NULL,
  key BLOB NOT NULL,
  PRIMARY KEY (scope, owner, key)
) STRICT, WITHOUT ROWID;
)sql";

// A record was its whole stack of layers, so a stage of k steps cost k^2 bytes. What was recorded so is not taken over:
// it would keep its size; the next build runs its steps once more.
constexpr const char* kVersion4 = R"sql(
DELETE FROM records;
DROP TABLE record_needs;
ALTER TABLE records ADD COLUMN top BLOB;

-- part: the digest of all else in its row (records.cpp). below: the part it stands on.
CREATE TABLE record_parts (
  part BLOB PRIMARY KEY,
  below BLOB,
  snapshot BLOB,
  blob BLOB,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// What a registry keeps (repositories.hpp).
constexpr const char* kVersion5 = R"sql(
-- scope: '' for what was pushed here, else the upstream that is mirrored.
CREATE TABLE repositories (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (scope, name)
) STRICT;

-- kind: enum Need, kBlob or kManifest; media_type and subject: of a manifest. linked: seconds since the epoch.
CREATE TABLE repository_links (
  repository INTEGER NOT NULL,
  digest BLOB NOT NULL,
  kind INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  subject BLOB,
  linked INTEGER NOT NULL,
  PRIMARY KEY (repository, digest, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_links_by_digest ON repository_links (digest);
CREATE INDEX repository_referrers ON repository_links (repository, subject) WHERE subject IS NOT NULL;

CREATE TABLE repository_tags (
  repository INTEGER NOT NULL,
  tag TEXT NOT NULL,
  target BLOB NOT NULL,
  checked INTEGER NOT NULL,
  PRIMARY KEY (repository, tag)
) STRICT, WITHOUT ROWID;

-- The bytes lie in uploads/<id>; size: as far as they are counted.
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  repository INTEGER NOT NULL,
  size INTEGER NOT NULL,
  touched INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX refs_by_child ON refs (child);
)sql";

// used: when a manifest of a mirror was last asked for. What a mirror has may go, the least recently used first.
constexpr const char* kMirrorUse = R"sql(
ALTER TABLE repository_links ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE repository_links SET used = linked;
)sql";

// Who else has a blob (origins.hpp). Where what is here came from was not written down: it is asked for once more.
constexpr const char* kOrigins = R"sql(
CREATE TABLE origins (
  id INTEGER PRIMARY KEY,
  registry TEXT NOT NULL,
  repository TEXT NOT NULL,
  UNIQUE (registry, repository)
) STRICT;
CREATE TABLE origin_links (
  origin INTEGER NOT NULL,
  blob BLOB NOT NULL,
  PRIMARY KEY (origin, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX origin_links_by_blob ON origin_links (blob);
DELETE FROM facts WHERE kind IN ('origin', 'served', 'own', 'place of a layer');
)sql";

// word: on whose word what a name leads to is used (image/proofs.hpp). It was concluded from what was missing: nobody
// knows any more which images were made here, so all of them are asked for, or loaded or built, once more. noted:
// seconds since the epoch, when it was seen last; what was noted without a time is old.
constexpr const char* kWords = R"sql(
ALTER TABLE names ADD COLUMN word TEXT NOT NULL DEFAULT '';
ALTER TABLE origin_links ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;
DELETE FROM origin_links WHERE origin IN (SELECT id FROM origins WHERE registry IN ('(image)', '(folder)'));
DELETE FROM origins WHERE registry IN ('(image)', '(folder)');
DELETE FROM facts WHERE kind = 'proven base';
)sql";

}  // namespace

const std::vector<Migration>& migrations() {
  static const std::vector<Migration> all = {{1, kVersion1}, {2, kVersion2},  {3, kVersion3}, {4, kVersion4},
                                             {5, kVersion5}, {6, kMirrorUse}, {7, kOrigins},  {8, kWords}};
  return all;
}

Result<SchemaCheck> check_schema(Connection& db) {
  const std::int64_t version = TRY(db.number("PRAGMA user_version")).value_or(0);
  const std::int64_t application = TRY(db.number("PRAGMA application_id")).value_or(0);
  // Counting reads the whole schema, which the first statement would do anyway: a garbled one is found here.
  const std::int64_t objects = TRY(db.number("SELECT count(*) FROM sqlite_schema")).value_or(0);
  if (objects == 0) return SchemaCheck{SchemaState::kMissing, version};
  if (application != kApplicationId) return SchemaCheck{SchemaState::kForeign, version};
  if (version > kSchemaVersion) return SchemaCheck{SchemaState::kNewer, version};
  if (version < kSchemaVersion) return SchemaCheck{SchemaState::kOlder, version};
  return SchemaCheck{SchemaState::kCurrent, version};
}

Status migrate(Connection& db, const std::vector<Migration>& steps) {
  // auto_vacuum counts in a new database only; gc brings an old one there.
  TRY(db.execute("PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"));
  const auto apply = [&]() -> Status {
    Txn txn = TRY(Txn::write(db));
    const std::int64_t version = TRY(db.number("PRAGMA user_version")).value_or(0);
    for (const Migration& step : steps) {
      if (step.to <= version) continue;
      TRY(context(db.execute(step.sql), "while bringing meta.db to schema {}", step.to));
      TRY(db.execute(fmt::format("PRAGMA user_version={}; PRAGMA application_id={};", step.to, kApplicationId)));
    }
    return txn.commit();
  };
  const Status done = apply();
  TRY(db.execute("PRAGMA synchronous=NORMAL;"));
  return done;
}

}  // namespace slipway::store
