// Leases: a directory in work/ whose lock file is held. Who can take the lock has found a dead one.
//
// The window between mkdir and lock: a sweeper takes a directory without lock file only by rmdir (which fails once
// there is something in it), and one with a lock file only while it holds the lock. A maker who loses either race sees
// ENOENT or a held lock and takes another name.
#include <sys/random.h>

#include "base/text.hpp"
#include "base/time.hpp"
#include "store/core.hpp"
#include "store/state.hpp"
#include "sys/file.hpp"

namespace slipway::store {

Result<bool> names(const std::string& path, const sys::FileLock& lock) {
  const struct stat held = TRY(sys::stat_fd(lock.fd(), path));
  const auto named = TRY(sys::lstat_at(AT_FDCWD, path));
  return named && named->st_ino == held.st_ino && named->st_dev == held.st_dev;
}

namespace {

std::string random_id() {
  char bytes[8];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return fmt::format("{:x}", monotonic_ms());
  return hex({bytes, sizeof bytes});
}

/// A directory with its lock held; nothing when a sweeper was faster.
Result<std::optional<sys::FileLock>> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) < 0) {
    if (errno == EEXIST) return std::nullopt;
    return fail_errno("cannot create {}", printable(path));
  }
  auto lock = sys::FileLock::try_lock(path + "/lock", sys::LockKind::kExclusive);
  if (lock && TRY(names(path + "/lock", *lock))) return std::optional(std::move(*lock));
  if (lock) return std::nullopt;  // a sweeper had it between our open and our lock: it is in the trash
  if (lock.error().code() == Code::kAborted || lock.error().sys_errno() == ENOENT) return std::nullopt;
  (void)::unlink((path + "/lock").c_str());
  (void)::rmdir(path.c_str());
  return std::unexpected(std::move(lock).error());
}

/// Whether the lease's directory holds more than plain files, or one too large to remove in passing.
bool heavy(const std::string& path) {
  const auto dir = sys::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return false;
  const auto names = sys::list_directory(dir->get(), path);
  if (!names || names->size() > 16) return true;
  for (const auto& name : *names) {
    const auto info = sys::lstat_at(dir->get(), name);
    if (!info || (*info && (!S_ISREG((*info)->st_mode) || (*info)->st_size > (std::int64_t{64} << 20)))) return true;
  }
  return false;
}

Status forget(Core& core, std::string_view lease) {
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  TRY(forget_lease(*db, lease));
  return txn.commit();
}

/// True when `name` was dead and is in the trash now.
Result<bool> sweep_one(Core& core, const std::string& name, bool quick) {
  const std::string path = core.lease_path(name);
  if (TRY(sys::is_locked(path + "/lock"))) return false;
  if (::rmdir(path.c_str()) == 0) return true;
  auto lock_file = sys::lstat_at(AT_FDCWD, path + "/lock");
  if (!lock_file) return std::unexpected(lock_file.error());
  if (!*lock_file) {
    // Something without a lock file that is not empty is no lease of ours: foreign, and garbage all the same.
    if (quick || !TRY(sys::lstat_at(AT_FDCWD, path))) return false;
    // A maker may be between mkdir and lock; it owns nothing but an empty directory.
    if (::rmdir(path.c_str()) == 0) return true;
    if (TRY(sys::lstat_at(AT_FDCWD, path + "/lock"))) return false;
  }
  if (quick && heavy(path)) return false;
  std::optional<sys::FileLock> held;
  if (*lock_file) {
    auto lock = sys::FileLock::try_lock(path + "/lock", sys::LockKind::kExclusive);
    if (!lock && (lock.error().code() == Code::kAborted || lock.error().sys_errno() == ENOENT)) return false;
    held = TRY(std::move(lock));
  }
  TRY(forget(core, name));
  Status moved = sys::rename_at(AT_FDCWD, path, AT_FDCWD, core.trash() + "/" + core.fresh_name("lease"));
  if (!moved && moved.error().sys_errno() == ENOENT) return false;  // its owner was just ending, and has removed it
  TRY(std::move(moved));
  return true;
}

}  // namespace

Status check_lease(Connection& db, std::string_view lease) {
  if (TRY(db.number("SELECT 1 FROM leases WHERE id = ?", {lease}))) return {};
  return fail(Code::kAborted, "the lease {} is gone (was meta.db rebuilt meanwhile?); run the command again", lease);
}

Status claim(Connection& db, std::string_view lease, Need need, const oci::Digest& digest) {
  TRY(db.run("INSERT OR IGNORE INTO lease_needs VALUES (?, ?, ?)", {lease, static_cast<int>(need), digest}));
  return {};
}

Status forget_lease(Connection& db, std::string_view lease) {
  TRY(db.run("DELETE FROM lease_needs WHERE lease = ?", {lease}));
  TRY(db.run("DELETE FROM leases WHERE id = ?", {lease}));
  return {};
}

Result<std::int64_t> sweep_leases(Core& core, bool quick) {
  const std::string path = core.root + "/work";
  const sys::Fd work = TRY(sys::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::int64_t swept = 0;
  int looked_at = 0;
  for (const auto& name : TRY(sys::list_directory(work.get(), path))) {
    if (name == ".trash") continue;
    if (quick && ++looked_at > 16) break;
    if (TRY(sweep_one(core, name, quick))) ++swept;
  }
  if (quick) return swept;
  // Rows whose directory is gone: the process died between the two.
  std::vector<std::string> ids;
  {
    auto db = core.database.lock();
    Rows rows = TRY(db->query("SELECT id FROM leases UNION SELECT lease FROM lease_needs"));
    while (TRY(rows.next())) ids.push_back(rows.text(0));
  }
  for (const auto& id : ids) {
    if (!TRY(sys::is_locked(core.lease_path(id) + "/lock"))) TRY(forget(core, id));
  }
  return swept;
}

Status empty_trash(Core& core) {
  const std::string path = core.trash();
  if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) return fail_errno("cannot create {}", printable(path));
  const sys::Fd trash = TRY(sys::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  for (const auto& name : TRY(sys::list_directory(trash.get(), path))) TRY(core.remove_tree(trash.get(), name));
  return {};
}

Result<Lease> Store::lease(std::string_view purpose) {
  const std::shared_ptr<Core>& core = state_->core;
  if (auto lock = sys::FileLock::try_lock(core->gc_lock(), sys::LockKind::kExclusive)) {
    const auto swept = sweep_leases(*core, true);  // someone else's rubbish is no reason to fail
    if (swept && *swept > 0) (void)empty_trash(*core);
  }
  std::string id;
  std::string path;
  std::optional<sys::FileLock> lock;
  while (!lock) {
    id = random_id();
    path = core->lease_path(id);
    auto made = make_directory(path);
    if (!made) return std::unexpected(explain_full(*core, std::move(made).error()));
    lock = std::move(*made);
  }
  // From here the destructor cleans up.
  Lease lease(std::make_shared<Lease::State>(core, id, path, std::move(*lock)));
  const auto write_row = [&]() -> Status {
    auto db = core->database.lock();
    Txn txn = TRY(Txn::write(*db));
    TRY(db->run("INSERT INTO leases VALUES (?, ?, ?, 0)", {id, purpose, now().seconds}));
    return txn.commit();
  };
  Status written = write_row();
  if (!written) return std::unexpected(explain_full(*core, std::move(written).error()));
  return lease;
}

Lease::Lease(std::shared_ptr<State> state) : state_(std::move(state)) {}
Lease::Lease(Lease&&) noexcept = default;
Lease& Lease::operator=(Lease&&) noexcept = default;
Lease::~Lease() = default;
const std::string& Lease::id() const { return state_->id; }
const std::string& Lease::directory() const { return state_->directory; }

// Rows first, the lock file and the directory last: killed in between, what is left is a dead lease.
Lease::State::~State() {
  (void)forget(*core, id);
  const auto dir = sys::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return;
  const auto names = sys::list_directory(dir->get(), directory);
  if (!names) return;
  for (const auto& name : *names) {
    if (name != "lock") (void)core->remove_tree(dir->get(), name);
  }
  (void)::unlinkat(dir->get(), "lock", 0);
  (void)::rmdir(directory.c_str());
}

}  // namespace slipway::store
