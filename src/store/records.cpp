// Build records, and remembered facts.
#include "base/text.hpp"
#include "base/time.hpp"
#include "store/core.hpp"
#include "store/state.hpp"

namespace slipway::store {
namespace {

/// A record used again within this time is not written again: a build that changes nothing stays a reader.
constexpr std::int64_t kUseGranularity = 60;

struct Needs {
  std::vector<oci::ChainId> snapshots;
  std::vector<oci::Digest> blobs;
};

Result<Needs> read_needs(Connection& db, std::int64_t record) {
  Rows rows = TRY(db.query("SELECT kind, digest FROM record_needs WHERE record = ? ORDER BY position", {record}));
  Needs needs;
  while (TRY(rows.next())) {
    const oci::Digest digest = TRY(rows.digest(1));
    if (rows.integer(0) == static_cast<int>(Need::kSnapshot)) {
      needs.snapshots.push_back({digest});
    } else {
      needs.blobs.push_back(digest);
    }
  }
  return needs;
}

/// Claims a snapshot and all below it; false when one of them can not be used.
Result<bool> claim_chain(Core& core, Connection& db, std::string_view lease, const oci::ChainId& top) {
  for (std::optional<oci::ChainId> chain = top; chain;) {
    const auto snapshot = TRY(find_snapshot(core, db, chain->digest));
    if (!snapshot) return false;
    TRY(claim(db, lease, Need::kSnapshot, chain->digest));
    chain = snapshot->parent;
  }
  return true;
}

Result<bool> claim_needs(Core& core, Connection& db, std::string_view lease, const Needs& needs) {
  for (const auto& chain : needs.snapshots) {
    if (!TRY(claim_chain(core, db, lease, chain))) return false;
  }
  for (const auto& blob : needs.blobs) {
    if (!TRY(claim_blob(core, db, lease, blob))) return false;
  }
  return true;
}

Status drop_record(Connection& db, std::string_view scope, const oci::Digest& key) {
  TRY(db.run("DELETE FROM record_needs WHERE record IN (SELECT id FROM records WHERE scope = ? AND key = ?)",
             {scope, key}));
  TRY(db.run("DELETE FROM records WHERE scope = ? AND key = ?", {scope, key}));
  return {};
}

Status check_needs(Core& core, Connection& db, const Record& record) {
  for (const auto& chain : record.snapshots) {
    if (!TRY(find_snapshot(core, db, chain.digest))) {
      return fail(Code::kFailedPrecondition, "the record {} needs the snapshot {}, which is not here",
                  record.key.text(), chain.digest.text());
    }
  }
  for (const auto& blob : record.blobs) {
    if (!TRY(db.number("SELECT 1 FROM blobs WHERE digest = ?", {blob}))) {
      return fail(Code::kFailedPrecondition, "the record {} needs the blob {}, which is not here", record.key.text(),
                  blob.text());
    }
  }
  return {};
}

}  // namespace

Result<std::optional<Record>> Store::acquire_record(const Lease& lease, std::string_view scope,
                                                    const oci::Digest& key) {
  Core& core = *state_->core;
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease.id()));
  std::int64_t id = 0;
  Record record{.key = key, .scope = std::string(scope), .value = {}, .snapshots = {}, .blobs = {}, .last_used = 0};
  {
    Rows rows = TRY(db->query("SELECT id, value, last_used FROM records WHERE scope = ? AND key = ?", {scope, key}));
    if (!TRY(rows.next())) return std::nullopt;
    id = rows.integer(0);
    record.value = rows.text(1);
    record.last_used = rows.integer(2);
  }
  Needs needs = TRY(read_needs(*db, id));
  // Not all there: the claims made so far go with the rollback; gc drops the record.
  if (!TRY(claim_needs(core, *db, lease.id(), needs))) return std::nullopt;
  TRY(claim(*db, lease.id(), Need::kRecord, key));
  const std::int64_t time = now().seconds;
  if (time - record.last_used >= kUseGranularity || time < record.last_used)
    TRY(db->run("UPDATE records SET last_used = ? WHERE id = ?", {time, id}));
  TRY(txn.commit());
  record.snapshots = std::move(needs.snapshots);
  record.blobs = std::move(needs.blobs);
  return record;
}

Status Store::put_record(const Record& record) {
  Core& core = *state_->core;
  const auto attempt = [&]() -> Status {
    auto db = core.database.lock();
    Txn txn = TRY(Txn::write(*db));
    TRY(check_needs(core, *db, record));
    TRY(drop_record(*db, record.scope, record.key));
    const std::int64_t used = record.last_used != 0 ? record.last_used : now().seconds;
    TRY(db->run("INSERT INTO records (scope, key, value, last_used) VALUES (?, ?, ?, ?)",
                {record.scope, record.key, Bind::bytes(record.value), used}));
    const std::int64_t id = TRY(db->number("SELECT last_insert_rowid()")).value_or(0);
    int position = 0;
    const auto put = [&](Need kind, const oci::Digest& digest) {
      return db->run("INSERT INTO record_needs VALUES (?, ?, ?, ?)", {id, position++, static_cast<int>(kind), digest});
    };
    for (const auto& chain : record.snapshots) TRY(put(Need::kSnapshot, chain.digest));
    for (const auto& blob : record.blobs) TRY(put(Need::kBlob, blob));
    return txn.commit();
  };
  return context(explain_full(core, attempt()), "while storing a build record");
}

Status Store::remove_record(std::string_view scope, const oci::Digest& key) {
  auto db = state_->core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(drop_record(*db, scope, key));
  return txn.commit();
}

Result<std::optional<std::string>> Store::recall(std::string_view kind, std::string_view key) const {
  auto db = state_->core->database.lock();
  Rows rows = TRY(db->query("SELECT value FROM facts WHERE kind = ? AND key = ?", {kind, Bind::bytes(key)}));
  if (!TRY(rows.next())) return std::nullopt;
  return rows.text(0);
}

Status Store::remember(std::string_view kind, std::string_view key, std::string_view value) {
  const std::pair<std::string, std::string> fact(key, value);
  return remember(kind, {&fact, 1});
}

Status Store::remember(std::string_view kind, std::span<const std::pair<std::string, std::string>> facts) {
  const auto attempt = [&]() -> Status {
    auto db = state_->core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    const std::int64_t time = now().seconds;
    for (const auto& [key, value] : facts) {
      TRY(
          db->run("INSERT INTO facts (kind, key, value, noted) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kind, key)"
                  " DO UPDATE SET value = ?3, noted = ?4",
                  {kind, Bind::bytes(key), Bind::bytes(value), time}));
    }
    return txn.commit();
  };
  return explain_full(*state_->core, attempt());
}

}  // namespace slipway::store
