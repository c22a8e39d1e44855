// fsck: proves that rows and bytes agree (R1, R7), and with `repair` drops what does not.
//
// It holds gc.lock: nothing is removed meanwhile. Others may add: their rows come after their bytes, so what has a row
// here has its bytes, and what has none yet is whole.
#include <algorithm>
#include <map>
#include <set>

#include "base/text.hpp"
#include "oci/image.hpp"
#include "store/core.hpp"
#include "store/manifest_check.hpp"
#include "store/origin_rows.hpp"
#include "store/repository_rows.hpp"
#include "store/state.hpp"
#include "store/tree_check.hpp"
#include "sys/file.hpp"
#include "sys/lock.hpp"

namespace slipway::store {
namespace {

class Fsck {
 public:
  Fsck(Core& core, bool repair, const Cancel& cancel) : core_(core), repair_(repair), cancel_(cancel) {}

  Result<std::vector<Finding>> run() {
    TRY(check_database());
    if (database_broken_) return std::move(findings_);
    TRY(read_rows());
    TRY(check_blobs());
    TRY(check_strays("blobs/sha256", "sha256:", oci::Algorithm::kSha256));
    TRY(check_strays("blobs/sha512", "sha512:", oci::Algorithm::kSha512));
    TRY(check_names());
    TRY(check_repositories());
    TRY(check_snapshots());
    TRY(check_snapshot_strays());
    if (repair_) TRY(drop_broken());
    return std::move(findings_);
  }

 private:
  struct SnapshotRow {
    std::optional<oci::Digest> parent;
    oci::Digest diff;
    bool written_here;
    bool usable;
    std::string directory;
  };
  struct NameRow {
    std::string scope, reference;
    oci::Digest target;
  };

  void find(std::string object, std::string problem) { findings_.push_back({std::move(object), std::move(problem)}); }

  Status check_database();
  Status read_rows();
  Status check_blobs();
  Result<std::optional<std::string>> blob_problem(const oci::Digest& digest, std::int64_t size) const;
  Status check_strays(const std::string& shelf, std::string_view prefix, oci::Algorithm algorithm);
  Result<std::optional<std::string>> name_problem(const oci::Digest& target);
  Status check_names();
  Status check_repositories();
  Status check_snapshots();
  Status check_snapshot(const oci::Digest& chain, const SnapshotRow& row);
  Status check_by_blob(const oci::Digest& chain, int fs, const std::vector<int>& lowers, const oci::Digest& blob);
  Result<std::vector<sys::Fd>> open_lowers(const SnapshotRow& row) const;
  Status check_snapshot_strays();
  Status drop_broken();
  Status drop_rows(Connection& db);
  Status move_to_trash(const std::string& path);
  Status move_broken();

  Core& core_;
  const bool repair_;
  const Cancel& cancel_;
  std::vector<Finding> findings_;
  bool database_broken_ = false;

  std::map<oci::Digest, std::int64_t> blobs_;
  std::map<oci::Digest, SnapshotRow> snapshots_;
  std::map<oci::Digest, std::vector<oci::Digest>> layers_;  ///< blobs by diff ID
  std::vector<NameRow> names_;
  std::set<std::string> cache_layers_;  ///< directories

  std::set<oci::Digest> broken_blobs_, broken_snapshots_;
  std::vector<NameRow> broken_names_;
  std::vector<LinkRow> broken_links_;
  std::vector<std::string> foreign_;  ///< paths below the root
};

/// One line per complaint of SQLite. With `repair` a broken one is rebuilt at once, and the rest is checked on the new.
Status Fsck::check_database() {
  std::vector<std::string> complaints;
  {
    auto db = core_.database.lock();
    const auto ask = [&]() -> Status {
      Rows rows = TRY(db->query("PRAGMA integrity_check(20)"));
      while (TRY(rows.next())) {
        if (rows.bytes(0) != "ok") complaints.push_back(rows.text(0));
      }
      return {};
    };
    const Status asked = ask();
    if (!asked && !db->broken()) return asked;
    if (!asked) complaints.push_back(asked.error().what());
  }
  if (complaints.empty()) return {};
  for (const auto& complaint : complaints) find("meta.db", "is broken: " + printable(complaint, 300));
  if (repair_) return rebuild(core_);
  database_broken_ = true;
  return {};
}

Status Fsck::read_rows() {
  auto db = core_.database.lock();
  const Txn txn = TRY(Txn::read(*db));
  Rows blobs = TRY(db->query("SELECT digest, size FROM blobs"));
  while (TRY(blobs.next())) blobs_.emplace(TRY(blobs.digest(0)), blobs.integer(1));
  Rows layers = TRY(db->query("SELECT diff, blob FROM layers"));
  while (TRY(layers.next())) layers_[TRY(layers.digest(0))].push_back(TRY(layers.digest(1)));
  Rows caches = TRY(db->query("SELECT directory FROM cache_layers"));
  while (TRY(caches.next())) cache_layers_.insert(caches.text(0));
  Rows names = TRY(db->query("SELECT scope, reference, target FROM names"));
  while (TRY(names.next())) names_.push_back({names.text(0), names.text(1), TRY(names.digest(2))});
  Rows rows = TRY(db->query("SELECT chain, parent, diff, written_here, durable OR boot = ?, directory FROM snapshots",
                            {core_.boot}));
  while (TRY(rows.next())) {
    std::optional<oci::Digest> parent;
    if (!rows.null(1)) parent = TRY(rows.digest(1));
    snapshots_.emplace(TRY(rows.digest(0)), SnapshotRow{.parent = parent,
                                                        .diff = TRY(rows.digest(2)),
                                                        .written_here = rows.integer(3) != 0,
                                                        .usable = rows.integer(4) != 0,
                                                        .directory = rows.text(5)});
  }
  return {};
}

Result<std::optional<std::string>> Fsck::blob_problem(const oci::Digest& digest, std::int64_t size) const {
  const auto info = TRY(sys::lstat_at(AT_FDCWD, core_.blob_path(digest)));
  if (!info) return "is missing";
  if (!S_ISREG(info->st_mode)) return "is no regular file";
  if (info->st_size != size) return fmt::format("is {} bytes, should be {}", info->st_size, size);
  const auto hashed = hash_file(core_.blob_path(digest), digest.algorithm(), cancel_);
  if (!hashed && hashed.error().sys_errno() == EIO) return fmt::format("can not be read: {}", hashed.error().what());
  if (!hashed) return std::unexpected(hashed.error());
  if (hashed->digest != digest) return fmt::format("has other bytes: they are {}", hashed->digest.text());
  return std::nullopt;
}

Status Fsck::check_blobs() {
  for (const auto& [digest, size] : blobs_) {
    TRY(cancel_.check());
    auto problem = TRY(blob_problem(digest, size));
    if (!problem) continue;
    find("blob " + digest.text(), std::move(*problem));
    broken_blobs_.insert(digest);
  }
  return {};
}

/// Files without a row: whole blobs are garbage for gc; anything else was not put there by us.
Status Fsck::check_strays(const std::string& shelf, std::string_view prefix, oci::Algorithm algorithm) {
  const auto dir = sys::open_at(core_.directory.get(), shelf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir && dir.error().sys_errno() == ENOENT) return {};
  if (!dir) return std::unexpected(dir.error());
  for (const auto& name : TRY(sys::list_directory(dir->get(), shelf))) {
    TRY(cancel_.check());
    const auto digest = oci::Digest::parse(std::string(prefix) + name);
    if (!digest) {
      find("file " + printable(shelf + "/" + name), "is foreign: its name is no digest");
      foreign_.push_back(shelf + "/" + name);
      continue;
    }
    if (blobs_.contains(*digest)) continue;
    const auto info = TRY(sys::lstat_at(dir->get(), name));
    if (!info) continue;
    if (S_ISREG(info->st_mode)) {
      const auto hashed = hash_file(core_.blob_path(*digest), algorithm, cancel_);
      if (!hashed && hashed.error().code() == Code::kCancelled) return std::unexpected(hashed.error());
      if (hashed && hashed->digest == *digest) continue;
    }
    find("blob " + digest->text(), "has other bytes, and no row");
    foreign_.push_back(shelf + "/" + name);
  }
  return {};
}

Result<std::optional<std::string>> Fsck::name_problem(const oci::Digest& target) {
  if (!blobs_.contains(target)) return fmt::format("points at {}, which is missing", target.text());
  const auto reached = TRY(reach(*core_.database.lock(), target));
  for (const auto& blob : reached)
    if (broken_blobs_.contains(blob)) return fmt::format("needs {}, which is broken", blob.text());
  for (const auto& blob : reached) {
    if (!blobs_.contains(blob) || blobs_.at(blob) > oci::kManifestLimit) continue;
    if (const auto problem = TRY(manifest_problem(core_, blob, cancel_)))
      return blob == target ? *problem : fmt::format("needs {}, which {}", blob.text(), *problem);
  }
  return std::nullopt;
}

Status Fsck::check_names() {
  for (const auto& name : names_) {
    const std::string object =
        name.reference.empty() ? "image " + name.target.text() : "name " + printable(name.reference);
    auto problem = TRY(name_problem(name.target));
    if (!problem) continue;
    find(object, std::move(*problem));
    broken_names_.push_back(name);
  }
  return {};
}

/// A manifest of a repository stands for all that it reaches, as a name does; a blob for itself.
Status Fsck::check_repositories() {
  auto db = core_.database.lock();
  for (auto& link : TRY(repository_links(*db))) {
    const std::string object = fmt::format("repository {}", printable(link.name));
    std::optional<std::string> problem;
    if (!blobs_.contains(link.digest)) {
      // Asked again: what was pushed since the rows were read is no finding.
      if (!TRY(db->number("SELECT 1 FROM blobs WHERE digest = ?", {link.digest})))
        problem = fmt::format("has {}, which is missing", link.digest.text());
    } else {
      const auto reached = link.manifest ? TRY(reach(*db, link.digest)) : std::vector{link.digest};
      const auto broken = std::ranges::find_if(reached, [&](const auto& one) { return broken_blobs_.contains(one); });
      if (broken != reached.end()) problem = fmt::format("needs {}, which is broken", broken->text());
    }
    if (!problem) continue;
    find(object, std::move(*problem));
    broken_links_.push_back(std::move(link));
  }
  return {};
}

Status Fsck::check_snapshots() {
  for (const auto& [chain, row] : snapshots_) {
    TRY(cancel_.check());
    if (!row.usable) continue;  // nobody takes it; gc does
    TRY(context(check_snapshot(chain, row), "while checking the snapshot {}", chain.text()));
  }
  return {};
}

/// The trees below, topmost first, as far as they are here.
Result<std::vector<sys::Fd>> Fsck::open_lowers(const SnapshotRow& row) const {
  std::vector<sys::Fd> lowers;
  for (auto chain = row.parent; chain;) {
    const auto found = snapshots_.find(*chain);
    if (found == snapshots_.end()) break;
    auto fs = sys::open(core_.snapshot_path(found->second.directory), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fs) lowers.push_back(std::move(*fs));
    if (!fs && fs.error().sys_errno() != ENOENT && fs.error().sys_errno() != ENOTDIR)
      return std::unexpected(fs.error());
    chain = found->second.parent;
  }
  return lowers;
}

Status Fsck::check_snapshot(const oci::Digest& chain, const SnapshotRow& row) {
  const auto broken = [&](std::string problem) {
    find("snapshot " + chain.text(), std::move(problem));
    broken_snapshots_.insert(chain);
  };
  const auto fs = sys::open(core_.snapshot_path(row.directory), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!fs && fs.error().code() != Code::kNotFound && fs.error().sys_errno() != ELOOP)
    return std::unexpected(fs.error());
  if (!fs) {
    broken("is missing");
    return {};
  }
  const std::vector<sys::Fd> opened = TRY(open_lowers(row));
  std::vector<int> lowers;
  for (const auto& fd : opened) lowers.push_back(fd.get());
  if (const auto blobs = layers_.find(row.diff); blobs != layers_.end()) {
    for (const auto& blob : blobs->second) {
      if (blobs_.contains(blob) && !broken_blobs_.contains(blob)) return check_by_blob(chain, fs->get(), lowers, blob);
    }
  }
  if (!row.written_here) return {};  // nothing here says what should be in it
  const auto written =
      layer::write_changes(fs->get(), lowers, [](std::string_view) -> Status { return {}; }, {}, cancel_);
  if (!written && written.error().code() == Code::kCancelled) return std::unexpected(written.error());
  if (!written) broken(fmt::format("can not be read: {}", written.error().what()));
  if (written && written->diff_id.digest != row.diff) broken(fmt::format("is no longer {}", row.diff.text()));
  return {};
}

Status Fsck::check_by_blob(const oci::Digest& chain, int fs, const std::vector<int>& lowers, const oci::Digest& blob) {
  const sys::Fd file = TRY(open_blob(core_, blob));
  const layer::Source source = [&](char* buffer, std::size_t size) { return sys::read_some(file.get(), buffer, size); };
  const auto differences = check_tree(fs, source, lowers, cancel_);
  if (!differences) {
    const Code code = differences.error().code();
    if (code == Code::kCancelled || code == Code::kResourceExhausted) return std::unexpected(differences.error());
    find("snapshot " + chain.text(), "can not be checked: " + differences.error().what());
    broken_snapshots_.insert(chain);
    return {};
  }
  for (const auto& difference : *differences) {
    find("snapshot " + chain.text(), quoted(difference.path) + " " + difference.problem);
    broken_snapshots_.insert(chain);
  }
  return {};
}

/// Files, and what lies beside the tree of a snapshot. Directories without a row are garbage for gc: drafts.
Status Fsck::check_snapshot_strays() {
  const auto dir = TRY(sys::open_at(core_.directory.get(), "snapshots", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::set<std::string> named;
  for (const auto& [chain, row] : snapshots_) named.insert(row.directory);
  named.merge(cache_layers_);
  for (const auto& name : TRY(sys::list_directory(dir.get(), "snapshots"))) {
    const std::string path = "snapshots/" + name;
    const auto info = TRY(sys::lstat_at(dir.get(), name));
    if (!info) continue;
    if (!S_ISDIR(info->st_mode)) {
      find("file " + printable(path), "is foreign: it is no directory");
      foreign_.push_back(path);
      continue;
    }
    if (!named.contains(name)) continue;
    const auto inner = sys::open_at(dir.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!inner) continue;
    for (const auto& entry : TRY(sys::list_directory(inner->get(), path))) {
      if (entry == "fs" || entry == "work") continue;  // work: of a commit that was killed
      find("file " + printable(path + "/" + entry), "is foreign");
      foreign_.push_back(path + "/" + entry);
    }
  }
  return {};
}

/// Rows first, as gc does; then the bytes.
Status Fsck::drop_broken() {
  const bool nothing =
      broken_blobs_.empty() && broken_snapshots_.empty() && broken_names_.empty() && broken_links_.empty();
  if (!nothing) {
    auto db = core_.database.lock();
    Txn txn = TRY(Txn::write(*db));
    TRY(drop_rows(*db));
    TRY(txn.commit());
  }
  TRY(move_broken());
  return empty_trash(core_);
}

Status Fsck::drop_rows(Connection& db) {
  for (const auto& name : broken_names_) {
    TRY(db.run("DELETE FROM names WHERE scope = ? AND reference = ? AND target = ?",
               {name.scope, name.reference, name.target}));
  }
  for (const auto& link : broken_links_) TRY(drop_link(db, link));
  const auto drop_records = [&](const oci::Digest& needed) -> Status {
    TRY(db.run("DELETE FROM record_parts WHERE snapshot = ?1 OR blob = ?1", {needed}));
    return {};
  };
  for (const auto& digest : broken_blobs_) {
    TRY(db.run("DELETE FROM blobs WHERE digest = ?", {digest}));
    TRY(db.run("DELETE FROM layers WHERE blob = ?", {digest}));
    TRY(db.run("DELETE FROM refs WHERE owner = ?", {digest}));
    TRY(drop_records(digest));
  }
  TRY(drop_origins(db, {broken_blobs_.begin(), broken_blobs_.end()}));
  for (const auto& chain : broken_snapshots_) {
    TRY(db.run("DELETE FROM snapshots WHERE chain = ?", {chain}));
    TRY(drop_records(chain));
  }
  // What stands on a part that went can not stay: a part that is here says that those below it are.
  while (
      TRY(db.run("DELETE FROM record_parts WHERE below IS NOT NULL AND below NOT IN (SELECT part FROM record_parts)")) >
      0) {}
  TRY(db.run("DELETE FROM records WHERE top IS NOT NULL AND top NOT IN (SELECT part FROM record_parts)"));
  return {};
}

/// To the trash; back again when what was moved turns out whole: a writer renamed good bytes to the name after it was
/// checked here (its row comes in a transaction after ours).
Status Fsck::move_to_trash(const std::string& path) {
  const std::string target = core_.trash() + "/" + core_.fresh_name("fsck");
  auto moved = sys::rename_at(core_.directory.get(), path, AT_FDCWD, target);
  if (!moved && moved.error().sys_errno() == ENOENT) return {};
  TRY(std::move(moved));
  const auto name = path.substr(path.rfind('/') + 1);
  const bool sha512 = path.starts_with("blobs/sha512/");
  const auto digest = oci::Digest::parse((sha512 ? "sha512:" : "sha256:") + name);
  if (!digest || !path.starts_with("blobs/")) return {};
  const auto hashed = hash_file(target, digest->algorithm(), Cancel());
  if (hashed && hashed->digest == *digest) return sys::rename_at(AT_FDCWD, target, core_.directory.get(), path);
  return {};
}

Status Fsck::move_broken() {
  auto db = core_.database.lock();
  const Txn txn = TRY(Txn::write(*db));  // writes nothing: keeps rows out
  for (const auto& digest : broken_blobs_) {
    // A writer may have healed it since its row went.
    if (!TRY(db->number("SELECT 1 FROM blobs WHERE digest = ?", {digest})))
      TRY(move_to_trash(core_.blob_path(digest).substr(core_.root.size() + 1)));
  }
  for (const auto& chain : broken_snapshots_) {
    // Another snapshot may share the tree, and be whole over its own lowers.
    const std::string& directory = snapshots_.at(chain).directory;
    if (!TRY(db->number("SELECT 1 FROM snapshots WHERE directory = ?", {directory})))
      TRY(move_to_trash("snapshots/" + directory));
  }
  for (const auto& path : foreign_) TRY(move_to_trash(path));
  return {};
}

}  // namespace

Result<std::vector<Finding>> Store::fsck(bool repair, const Cancel& cancel) {
  Core& core = *state_->core;
  const auto attempt = [&]() -> Result<std::vector<Finding>> {
    const sys::FileLock lock = TRY(sys::FileLock::lock(core.gc_lock(), sys::LockKind::kExclusive, cancel));
    return Fsck(core, repair, cancel).run();
  };
  auto findings = attempt();
  if (!findings && findings.error().code() == Code::kResourceExhausted && release_reserve(core)) findings = attempt();
  return context(explain_full(core, std::move(findings)), "while checking the store {}", printable(core.root));
}

}  // namespace slipway::store
