// Build records, and remembered facts.
#include <algorithm>
#include <unordered_set>

#include "base/text.hpp"
#include "base/time.hpp"
#include "store/core.hpp"
#include "store/state.hpp"

namespace slipway::store {
namespace {

/// A record used again within this time is not written again: a build that changes nothing stays a reader.
constexpr std::int64_t kUseGranularity = 60;

/// The name of a part says all of it: equal parts upon equal ones are one row.
oci::Digest part_name(const std::optional<oci::Digest>& below, const RecordPart& part) {
  std::string all;
  const auto add = [&all](std::string_view bytes) { all += fmt::format("{} ", bytes.size()).append(bytes); };
  add(below ? below->text() : "");
  add(part.snapshot ? part.snapshot->digest.text() : "");
  add(part.blob ? part.blob->text() : "");
  add(part.value);
  return oci::Digest::of(all);
}

/// The parts of a record, bottom first; nothing when one is missing.
Result<std::optional<std::vector<RecordPart>>> read_parts(Connection& db, std::optional<oci::Digest> top) {
  std::vector<RecordPart> parts;
  while (top) {
    if (parts.size() == kMostRecordParts) return std::nullopt;  // not written by us
    Rows rows = TRY(db.query("SELECT below, snapshot, blob, value FROM record_parts WHERE part = ?", {*top}));
    if (!TRY(rows.next())) return std::nullopt;
    RecordPart part{.value = rows.text(3), .snapshot = {}, .blob = {}};
    if (!rows.null(1)) part.snapshot = oci::ChainId{TRY(rows.digest(1))};
    if (!rows.null(2)) part.blob = TRY(rows.digest(2));
    parts.push_back(std::move(part));
    top.reset();
    if (!rows.null(0)) top = TRY(rows.digest(0));
  }
  std::ranges::reverse(parts);
  return parts;
}

/// Claims what the parts need, and all snapshots below theirs; false when some of it can not be used.
Result<bool> claim_needs(Core& core, Connection& db, std::string_view lease, const std::vector<RecordPart>& parts) {
  std::unordered_set<oci::Digest> claimed;
  for (const auto& part : parts) {
    for (std::optional<oci::ChainId> chain = part.snapshot; chain && claimed.insert(chain->digest).second;) {
      const auto snapshot = TRY(find_snapshot(core, db, chain->digest));
      if (!snapshot) return false;
      TRY(claim(db, lease, Need::kSnapshot, chain->digest));
      chain = snapshot->parent;
    }
    if (part.blob && !TRY(claim_blob(core, db, lease, *part.blob))) return false;
  }
  return true;
}

Status check_needs(Core& core, Connection& db, const oci::Digest& key, const RecordPart& part) {
  if (part.snapshot && !TRY(find_snapshot(core, db, part.snapshot->digest)))
    return fail(Code::kFailedPrecondition, "the record {} needs the snapshot {}, which is not here", key.text(),
                part.snapshot->digest.text());
  if (part.blob && !TRY(db.number("SELECT 1 FROM blobs WHERE digest = ?", {*part.blob})))
    return fail(Code::kFailedPrecondition, "the record {} needs the blob {}, which is not here", key.text(),
                part.blob->text());
  return {};
}

/// Gives the name of the topmost part.
Result<std::optional<oci::Digest>> put_parts(Core& core, Connection& db, const Record& record) {
  if (record.parts.size() > kMostRecordParts)
    return fail(Code::kInvalidArgument, "a build's result has {} layers, at most {} are recorded", record.parts.size(),
                kMostRecordParts);
  std::vector<std::optional<oci::Digest>> names = {std::nullopt};
  for (const auto& part : record.parts) names.emplace_back(part_name(names.back(), part));
  // Usually all but the topmost are here, and with a part those below it.
  std::size_t here = record.parts.size();
  while (here > 0 && !TRY(db.number("SELECT 1 FROM record_parts WHERE part = ?", {names[here]}))) --here;
  for (std::size_t i = here; i < record.parts.size(); ++i) {
    const RecordPart& part = record.parts[i];
    TRY(check_needs(core, db, record.key, part));
    std::optional<oci::Digest> snapshot;
    if (part.snapshot) snapshot = part.snapshot->digest;
    TRY(db.run("INSERT INTO record_parts (part, below, snapshot, blob, value) VALUES (?, ?, ?, ?, ?)",
               {names[i + 1], names[i], snapshot, part.blob, Bind::bytes(part.value)}));
  }
  return names.back();
}

}  // namespace

Result<std::optional<Record>> Store::acquire_record(const Lease& lease, std::string_view scope,
                                                    const oci::Digest& key) {
  Core& core = *state_->core;
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease.id()));
  std::int64_t id = 0;
  std::optional<oci::Digest> top;
  Record record{.key = key, .scope = std::string(scope), .value = {}, .parts = {}, .last_used = 0};
  {
    Rows rows =
        TRY(db->query("SELECT id, value, last_used, top FROM records WHERE scope = ? AND key = ?", {scope, key}));
    if (!TRY(rows.next())) return std::nullopt;
    id = rows.integer(0);
    record.value = rows.text(1);
    record.last_used = rows.integer(2);
    if (!rows.null(3)) top = TRY(rows.digest(3));
  }
  auto parts = TRY(read_parts(*db, top));
  // Not all there: the claims made so far go with the rollback; gc drops the record.
  if (!parts || !TRY(claim_needs(core, *db, lease.id(), *parts))) return std::nullopt;
  TRY(claim(*db, lease.id(), Need::kRecord, key));
  const std::int64_t time = now().seconds;
  if (time - record.last_used >= kUseGranularity || time < record.last_used)
    TRY(db->run("UPDATE records SET last_used = ? WHERE id = ?", {time, id}));
  TRY(txn.commit());
  record.parts = *std::move(parts);
  return record;
}

Status Store::put_record(const Record& record) {
  Core& core = *state_->core;
  const auto attempt = [&]() -> Status {
    auto db = core.database.lock();
    Txn txn = TRY(Txn::write(*db));
    const auto top = TRY(put_parts(core, *db, record));
    const std::int64_t used = record.last_used != 0 ? record.last_used : now().seconds;
    // A new id: the record is newer than those used in the same second. Parts of an older one are gc's.
    TRY(db->run("DELETE FROM records WHERE scope = ? AND key = ?", {record.scope, record.key}));
    TRY(db->run("INSERT INTO records (scope, key, value, last_used, top) VALUES (?, ?, ?, ?, ?)",
                {record.scope, record.key, Bind::bytes(record.value), used, top}));
    return txn.commit();
  };
  return context(explain_full(core, attempt()), "while storing a build record");
}

Status Store::remove_record(std::string_view scope, const oci::Digest& key) {
  auto db = state_->core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(db->run("DELETE FROM records WHERE scope = ? AND key = ?", {scope, key}));
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
