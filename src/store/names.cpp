// Names of scopes, and what their targets point at.
//
// Setting a name parses its manifest or index once and writes what it points at as `refs` rows; acquire_name and gc
// then read rows only. Content-addressed documents never change, so a row never goes stale.
#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "oci/image.hpp"
#include "store/core.hpp"
#include "store/state.hpp"

namespace slipway::store {
namespace {

constexpr int kIndexDepth = 4;

struct Ref {
  Need kind;
  oci::Digest child;
};
struct Document {
  oci::Digest digest;
  std::string media_type;
  int depth = 0;
};
struct Expansion {
  std::vector<Ref> refs;
  std::vector<Document> children;  ///< manifests of an index
  bool complete = true;            ///< false: the config is not here yet; look again next time
};

Result<bool> has_row(Core& core, const oci::Digest& digest) {
  return TRY(core.database.lock()->number("SELECT 1 FROM blobs WHERE digest = ?", {digest})).has_value();
}

bool is_image_config(const std::string& type) {
  return type == oci::media_type::kOciConfig || type == oci::media_type::kDockerConfig;
}

Result<Expansion> expand_manifest(Core& core, const oci::Manifest& manifest) {
  Expansion out;
  out.refs.push_back({Need::kBlob, manifest.config().digest});
  for (const auto& layer : manifest.layers()) out.refs.push_back({Need::kBlob, layer.digest});
  if (!is_image_config(manifest.config().media_type)) return out;
  if (!TRY(has_row(core, manifest.config().digest))) {
    out.complete = false;
    return out;
  }
  const auto config = TRY(oci::ImageConfig::parse(TRY(read_blob(core, manifest.config().digest, oci::kConfigLimit))));
  std::optional<oci::ChainId> chain;
  for (const auto& diff : config.view().diff_ids) {
    chain = chain ? chain->next(diff) : oci::ChainId::first(diff);
    out.refs.push_back({Need::kSnapshot, chain->digest});
  }
  return out;
}

Result<Expansion> expand_index(const oci::Index& index, int depth) {
  if (depth >= kIndexDepth)
    return fail(Code::kInvalidArgument, "indexes are nested more than {} levels deep", kIndexDepth);
  Expansion out;
  for (const auto& child : index.manifests()) {
    out.refs.push_back({Need::kManifest, child.digest});
    out.children.push_back({child.digest, child.media_type, depth + 1});
  }
  return out;
}

Result<Expansion> expand(Core& core, const Document& document) {
  std::string bytes = TRY(read_blob(core, document.digest, oci::kManifestLimit));
  if (oci::media_type::is_index(document.media_type))
    return expand_index(TRY(oci::Index::parse(std::move(bytes), document.media_type)), document.depth);
  if (oci::media_type::is_manifest(document.media_type))
    return expand_manifest(core, TRY(oci::Manifest::parse(std::move(bytes), document.media_type)));
  if (auto manifest = oci::Manifest::parse(bytes, "")) return expand_manifest(core, *manifest);
  return expand_index(TRY(oci::Index::parse(std::move(bytes), "")), document.depth);
}

/// What is known already: nothing, or the manifests below.
Result<std::optional<std::vector<Document>>> known_children(Core& core, const Document& document) {
  auto db = core.database.lock();
  if (!TRY(db->number("SELECT 1 FROM refs WHERE owner = ? AND kind = ?",
                      {document.digest, static_cast<int>(Need::kExpanded)})))
    return std::nullopt;
  std::vector<Document> children;
  Rows rows = TRY(db->query("SELECT child FROM refs WHERE owner = ? AND kind = ?",
                            {document.digest, static_cast<int>(Need::kManifest)}));
  while (TRY(rows.next())) children.push_back({TRY(rows.digest(0)), "", document.depth + 1});
  return children;
}

Status write_refs(Core& core, const oci::Digest& owner, const Expansion& expansion) {
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  const auto put = [&](Need kind, const oci::Digest& child) {
    return db->run("INSERT OR IGNORE INTO refs VALUES (?, ?, ?)", {owner, static_cast<int>(kind), child});
  };
  for (const auto& ref : expansion.refs) TRY(put(ref.kind, ref.child));
  if (expansion.complete) TRY(put(Need::kExpanded, owner));
  return txn.commit();
}

std::vector<std::string> canonical(const std::vector<oci::Reference>& references) {
  std::vector<std::string> out;
  for (const auto& reference : references) out.push_back(reference.canonical());
  return out;
}

Result<Name> name_of_row(const Rows& rows) {
  return Name{.reference = rows.text(0),
              .target = TRY(rows.digest(1)),
              .media_type = rows.text(2),
              .created = rows.integer(3),
              .word = rows.text(4)};
}

Result<std::optional<Name>> find(Connection& db, std::string_view scope, const oci::Reference& reference) {
  Rows rows =
      TRY(db.query("SELECT reference, target, media_type, created, word FROM names WHERE scope = ? AND reference = ?",
                   {scope, reference.canonical()}));
  if (!TRY(rows.next())) return std::nullopt;
  return TRY(name_of_row(rows));
}

}  // namespace

Status expand_refs(Core& core, const oci::Digest& target, std::string_view media_type) {
  std::vector<Document> open = {{target, std::string(media_type), 0}};
  std::vector<oci::Digest> seen;
  while (!open.empty()) {
    const Document document = std::move(open.back());
    open.pop_back();
    if (std::ranges::find(seen, document.digest) != seen.end()) continue;
    seen.push_back(document.digest);
    if (const auto known = TRY(known_children(core, document))) {
      open.insert(open.end(), known->begin(), known->end());
      continue;
    }
    if (document.depth > 0 && !TRY(has_row(core, document.digest))) continue;  // another platform's, not pulled
    const Expansion expansion = TRY(context(expand(core, document), "while reading {}", document.digest.text()));
    TRY(write_refs(core, document.digest, expansion));
    open.insert(open.end(), expansion.children.begin(), expansion.children.end());
  }
  return {};
}

Result<std::vector<oci::Digest>> reach(Connection& db, const oci::Digest& target) {
  static_assert(static_cast<int>(Need::kBlob) == 0 && static_cast<int>(Need::kManifest) == 1);
  Rows rows = TRY(
      db.query("WITH RECURSIVE reached(kind, digest) AS (VALUES (1, ?1) UNION SELECT refs.kind, refs.child"
               " FROM refs JOIN reached ON refs.owner = reached.digest WHERE reached.kind = 1 AND refs.kind IN (0, 1))"
               " SELECT DISTINCT digest FROM reached",
               {target}));
  std::vector<oci::Digest> blobs;
  while (TRY(rows.next())) blobs.push_back(TRY(rows.digest(0)));
  return blobs;
}

Status write_names(Connection& db, std::string_view scope, const std::vector<std::string>& references,
                   const oci::Digest& target, std::string_view media_type, std::int64_t created,
                   std::string_view word) {
  for (const auto& reference : references) {
    // An equal row is left alone: a build that changed nothing writes nothing.
    if (TRY(db.number("SELECT 1 FROM names WHERE scope = ? AND reference = ? AND target = ? AND media_type = ?"
                      " AND word = ?",
                      {scope, reference, target, media_type, word})))
      continue;
    TRY(db.run("DELETE FROM names WHERE scope = ? AND reference = ?", {scope, reference}));
    TRY(db.run("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?)", {scope, reference, target, media_type, created, word}));
  }
  if (!references.empty()) {
    TRY(db.run("DELETE FROM names WHERE scope = ? AND reference = '' AND target = ?", {scope, target}));
  } else if (!TRY(db.number("SELECT 1 FROM names WHERE scope = ? AND target = ?", {scope, target}))) {
    TRY(db.run("INSERT INTO names VALUES (?, '', ?, ?, ?, ?)", {scope, target, media_type, created, word}));
  }
  return {};
}

Status Store::set_names(std::string_view scope, const std::vector<oci::Reference>& references,
                        const oci::Digest& target, std::string_view media_type, Durable durable,
                        std::string_view word) {
  Core& core = *state_->core;
  const auto attempt = [&]() -> Result<bool> {
    TRY(expand_refs(core, target, media_type));
    auto db = core.database.lock();
    Txn txn = TRY(Txn::write(*db));
    if (!TRY(db->number("SELECT 1 FROM blobs WHERE digest = ?", {target})))
      return fail(Code::kNotFound, "the store has no blob {}", target.text());
    // Without its refs gc would take what the name needs: it went and came back since it was expanded.
    if (!TRY(db->number("SELECT 1 FROM refs WHERE owner = ?", {target}))) return false;
    TRY(write_names(*db, scope, canonical(references), target, media_type, now().seconds, word));
    TRY(txn.commit());
    return true;
  };
  bool done = false;
  while (!done) done = TRY(context(explain_full(core, attempt()), "while naming {}", target.text()));
  return durable == Durable::kYes ? flush() : Status();
}

Status Store::set_name(std::string_view scope, const oci::Reference& reference, const oci::Digest& target,
                       std::string_view media_type, Durable durable, std::string_view word) {
  return set_names(scope, {reference}, target, media_type, durable, word);
}

Result<std::optional<Name>> Store::find_name(std::string_view scope, const oci::Reference& reference) const {
  return find(*state_->core->database.lock(), scope, reference);
}

Result<std::vector<Name>> Store::list_names(std::string_view scope) const {
  auto db = state_->core->database.lock();
  Rows rows = TRY(db->query(
      "SELECT reference, target, media_type, created, word FROM names WHERE scope = ? ORDER BY reference, target",
      {scope}));
  std::vector<Name> names;
  while (TRY(rows.next())) names.push_back(TRY(name_of_row(rows)));
  return names;
}

Result<bool> Store::remove_name(std::string_view scope, const oci::Reference& reference, Durable durable) {
  int removed = 0;
  {
    auto db = state_->core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    removed = TRY(db->run("DELETE FROM names WHERE scope = ? AND reference = ?", {scope, reference.canonical()}));
    TRY(txn.commit());
  }
  if (removed > 0 && durable == Durable::kYes) TRY(flush());
  return removed > 0;
}

Result<int> Store::remove_target(std::string_view scope, const oci::Digest& target, Durable durable) {
  int removed = 0;
  {
    auto db = state_->core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    removed = TRY(db->run("DELETE FROM names WHERE scope = ? AND target = ?", {scope, target}));
    TRY(txn.commit());
  }
  if (removed > 0 && durable == Durable::kYes) TRY(flush());
  return removed;
}

Result<std::optional<Name>> Store::acquire_name(const Lease& lease, std::string_view scope,
                                                const oci::Reference& reference) {
  const Core& core = *state_->core;
  auto db = state_->core->database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(check_lease(*db, lease.id()));
  auto name = TRY(find(*db, scope, reference));
  if (!name || !TRY(claim_blob(core, *db, lease.id(), name->target))) return std::nullopt;
  for (const auto& blob : TRY(reach(*db, name->target))) TRY(claim_blob(core, *db, lease.id(), blob));
  TRY(txn.commit());
  return name;
}

}  // namespace slipway::store
