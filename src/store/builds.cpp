// Noted builds: what `slipway why` tells of the last builds of a scope, and what their steps were made from.
#include "base/time.hpp"
#include "store/core.hpp"
#include "store/state.hpp"

namespace slipway::store {
namespace {

/// A build that did the same again within this time is not written again.
constexpr std::int64_t kNoteGranularity = 60;
/// What one value may be: more than that was not written by us.
constexpr std::int64_t kValueLimit = 16 << 20;

Result<std::int64_t> next_position(Connection& db, std::string_view scope) {
  return TRY(db.number("SELECT max(position) + 1 FROM builds WHERE scope = ?", {scope})).value_or(1);
}

Status need(Connection& db, std::string_view scope, const oci::Digest& owner, const std::vector<oci::Digest>& keys) {
  TRY(db.run("DELETE FROM build_needs WHERE scope = ? AND owner = ?", {scope, owner}));
  for (const auto& key : keys) TRY(db.run("INSERT OR IGNORE INTO build_needs VALUES (?, ?, ?)", {scope, owner, key}));
  return {};
}

Status put_input(Connection& db, std::string_view scope, const BuildInput& input) {
  TRY(
      db.run("INSERT INTO build_inputs (scope, key, value) VALUES (?1, ?2, ?3) ON CONFLICT (scope, key)"
             " DO UPDATE SET value = ?3",
             {scope, input.key, Bind::bytes(input.value)}));
  return need(db, scope, input.key, input.needs);
}

/// Inputs that no build reaches, and needs of what is gone.
Status drop_unneeded(Connection& db, std::string_view scope) {
  TRY(
      db.run("WITH RECURSIVE live (key) AS ("
             " SELECT n.key FROM builds b JOIN build_needs n ON n.scope = b.scope AND n.owner = b.identity"
             " WHERE b.scope = ?1"
             " UNION SELECT n.key FROM live JOIN build_needs n ON n.scope = ?1 AND n.owner = live.key)"
             " DELETE FROM build_inputs WHERE scope = ?1 AND key NOT IN (SELECT key FROM live)",
             {scope}));
  TRY(
      db.run("DELETE FROM build_needs WHERE scope = ?1"
             " AND owner NOT IN (SELECT identity FROM builds WHERE scope = ?1)"
             " AND owner NOT IN (SELECT key FROM build_inputs WHERE scope = ?1)",
             {scope}));
  return {};
}

Status prune(Connection& db, std::string_view scope) {
  const int old =
      TRY(db.run("DELETE FROM builds WHERE id IN (SELECT id FROM builds WHERE scope = ? ORDER BY position DESC"
                 " LIMIT -1 OFFSET ?)",
                 {scope, kNotedBuilds}));
  if (old > 0) TRY(drop_unneeded(db, scope));
  while (true) {
    const auto bytes =
        TRY(db.number("SELECT (SELECT ifnull(sum(length(value)), 0) FROM build_inputs WHERE scope = ?1)"
                      " + (SELECT ifnull(sum(length(document)), 0) FROM builds WHERE scope = ?1)",
                      {scope}));
    const auto builds = TRY(db.number("SELECT count(*) FROM builds WHERE scope = ?", {scope}));
    if (bytes.value_or(0) <= kNotedBytes || builds.value_or(0) <= 1) return {};
    TRY(db.run("DELETE FROM builds WHERE id = (SELECT id FROM builds WHERE scope = ? ORDER BY position LIMIT 1)",
               {scope}));
    TRY(drop_unneeded(db, scope));
  }
}

}  // namespace

Status forget_builds(Core& core) {
  auto db = core.database.lock();
  if (TRY(db->number("SELECT count(*) FROM builds")).value_or(0) == 0) return {};
  Txn txn = TRY(Txn::write(*db));
  TRY(db->execute("DELETE FROM builds; DELETE FROM build_inputs; DELETE FROM build_needs;"));
  return txn.commit();
}

Result<bool> Store::renew_build(std::string_view scope, const oci::Digest& identity) {
  const auto attempt = [&]() -> Result<bool> {
    const std::int64_t time = now().seconds;
    auto db = state_->core->database.lock();
    {
      Rows rows =
          TRY(db->query("SELECT made, position = (SELECT max(position) FROM builds WHERE scope = ?1) FROM builds"
                        " WHERE scope = ?1 AND identity = ?2",
                        {scope, identity}));
      if (!TRY(rows.next())) return false;
      const std::int64_t age = time - rows.integer(0);
      if (rows.integer(1) != 0 && age >= 0 && age < kNoteGranularity) return true;
    }
    Txn txn = TRY(Txn::write(*db));
    const int renewed = TRY(db->run("UPDATE builds SET made = ?, position = ? WHERE scope = ? AND identity = ?",
                                    {time, TRY(next_position(*db, scope)), scope, identity}));
    TRY(txn.commit());
    return renewed > 0;
  };
  return explain_full(*state_->core, attempt());
}

Status Store::note_build(std::string_view scope, const BuildNote& build, const std::vector<oci::Digest>& needs,
                         const std::vector<BuildInput>& inputs) {
  const auto attempt = [&]() -> Status {
    auto db = state_->core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    const std::int64_t position = TRY(next_position(*db, scope));
    TRY(db->run("DELETE FROM builds WHERE scope = ? AND identity = ?", {scope, build.identity}));
    TRY(db->run(
        "INSERT INTO builds (scope, identity, position, made, manifest, config, document)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        {scope, build.identity, position, now().seconds, build.manifest, build.config, Bind::bytes(build.document)}));
    TRY(need(*db, scope, build.identity, needs));
    for (const auto& input : inputs) TRY(put_input(*db, scope, input));
    TRY(prune(*db, scope));
    return txn.commit();
  };
  return context(explain_full(*state_->core, attempt()), "while noting a build");
}

Result<std::vector<BuildNote>> Store::noted_builds(std::string_view scope) const {
  auto db = state_->core->database.lock();
  Rows rows = TRY(db->query(
      "SELECT identity, manifest, config, document, made FROM builds WHERE scope = ? AND length(document) <= ?"
      " ORDER BY position DESC",
      {scope, kValueLimit}));
  std::vector<BuildNote> builds;
  while (TRY(rows.next())) {
    BuildNote build{.identity = TRY(rows.digest(0)), .manifest = {}, .config = {}, .document = {}, .made = 0};
    if (!rows.null(1)) build.manifest = TRY(rows.digest(1));
    if (!rows.null(2)) build.config = TRY(rows.digest(2));
    build.document = rows.text(3);
    build.made = rows.integer(4);
    builds.push_back(std::move(build));
  }
  return builds;
}

Result<std::optional<std::string>> Store::build_input(std::string_view scope, const oci::Digest& key) const {
  auto db = state_->core->database.lock();
  Rows rows = TRY(db->query("SELECT value FROM build_inputs WHERE scope = ? AND key = ? AND length(value) <= ?",
                            {scope, key, kValueLimit}));
  if (!TRY(rows.next())) return std::nullopt;
  return rows.text(0);
}

Result<bool> Store::has_build_input(std::string_view scope, const oci::Digest& key) const {
  auto db = state_->core->database.lock();
  return TRY(db->number("SELECT 1 FROM build_inputs WHERE scope = ? AND key = ?", {scope, key})).has_value();
}

}  // namespace slipway::store
