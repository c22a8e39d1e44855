// Opening and what belongs to the store as a whole.
#include "store/store.hpp"

#include "base/text.hpp"
#include "store/core.hpp"
#include "store/state.hpp"
#include "sys/file.hpp"

namespace slipway::store {

Error Store::explain(Error error) const { return explain_full(*state_->core, std::move(error)); }

Store::Store(std::shared_ptr<State> state) : state_(std::move(state)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<Store> Store::open(const std::string& root, const OpenOptions& options) {
  auto state = std::make_shared<State>();
  state->core = TRY(open_core(root, options));
  return Store(std::move(state));
}

const std::string& Store::root() const { return state_->core->root; }
std::int64_t Store::free_bytes() const { return store::free_bytes(*state_->core); }

// Why one fdatasync of the WAL is enough: commits are appended to it in order, so syncing the file makes every commit
// before this moment durable, whoever wrote it. Commits that are in the WAL no more were moved to meta.db by a
// checkpoint, which syncs meta.db before the WAL's space is used again (sqlite.org/wal.html; synchronous=NORMAL). The
// directory is synced for a WAL that was just made. The descriptor is a second one of the WAL: SQLite's POSIX locks,
// which the closing of any descriptor of their file would drop, are on meta.db and meta.db-shm only.
Status Store::flush() {
  const Core& core = *state_->core;
  const std::string path = core.database_path() + "-wal";
  auto wal = sys::open(path, O_RDWR | O_NOFOLLOW);
  if (wal) {
    // Not fsync: commits overwrite the WAL's space, and its mtime alone would cost a commit of the journal.
    if (::fdatasync(wal->get()) < 0) return fail_errno("cannot make {} durable", printable(path));
  } else if (wal.error().sys_errno() != ENOENT) {
    return std::unexpected(std::move(wal).error());
  }
  return sys::sync(core.directory.get(), core.root);
}

Result<sys::FileLock> Store::lock_key(const oci::Digest& key, const Cancel& cancel) const {
  const std::string path = state_->core->root + "/keys/" + key.hex();
  while (true) {
    auto lock = sys::FileLock::lock(path, sys::LockKind::kExclusive, cancel);
    if (!lock) return std::unexpected(explain_full(*state_->core, std::move(lock).error()));
    // gc removes key files that nobody holds.
    if (TRY(names(path, *lock))) return lock;
  }
}

}  // namespace slipway::store
