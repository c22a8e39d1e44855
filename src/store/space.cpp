// Space: the limit that is held before writing, and the reserve for the day the disk is full.
#include <sys/statvfs.h>

#include <algorithm>
#include <limits>

#include "base/text.hpp"
#include "store/core.hpp"
#include "sys/file.hpp"
#include "sys/lock.hpp"

namespace slipway::store {
namespace {

constexpr int kReserveFiles = 16;  ///< inodes too may run out
constexpr std::int64_t kReserveFileBytes = 64 * 1024;

/// What is free below the limit, or the grant.
struct Granted {
  std::int64_t bytes = 0;  ///< 0: not granted
  std::int64_t used = 0;
};

Result<Granted> try_reserve(Core& core, std::string_view lease, std::int64_t bytes, std::int64_t wanted) {
  auto db = core.database.lock();
  Txn txn = TRY(Txn::write(*db));
  Granted granted;
  granted.used = TRY(used_bytes(*db));
  const std::int64_t room = core.max_size - granted.used;
  if (room < bytes) return granted;
  TRY(check_lease(*db, lease));
  granted.bytes = std::min(std::max(bytes, wanted), room);
  TRY(db->run("UPDATE leases SET reserved = reserved + ? WHERE id = ?", {granted.bytes, lease}));
  TRY(txn.commit());
  return granted;
}

}  // namespace

Result<std::int64_t> meta_bytes(Connection& db) {
  // An empty database has a page for each table and index, one of pointers and a few that say what the tables are.
  return TRY(db.number("SELECT max(0, page_count - freelist_count - 8 - (SELECT count(*) FROM sqlite_schema WHERE"
                       " rootpage > 0)) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"))
      .value_or(0);
}

Result<std::int64_t> used_bytes(Connection& db) {
  const std::int64_t meta = TRY(meta_bytes(db));
  return meta +
         TRY(db.number("SELECT (SELECT ifnull(sum(size), 0) FROM blobs)"
                       " + (SELECT ifnull(sum(bytes), 0) FROM (SELECT max(tree_bytes) AS bytes FROM snapshots GROUP BY "
                       "directory))"
                       " + (SELECT ifnull(sum(tree_bytes), 0) FROM cache_layers)"
                       " + (SELECT ifnull(sum(size), 0) FROM uploads)"
                       " + (SELECT ifnull(sum(reserved), 0) FROM leases)"))
             .value_or(0);
}

Result<std::int64_t> reserve(Core& core, std::string_view lease, std::int64_t bytes, std::int64_t wanted) {
  if (core.max_size <= 0) return 0;
  Granted granted;
  // Twice: another writer may take the room that gc made; then it is gc's turn once more.
  for (int attempt = 0; attempt < 3; ++attempt) {
    granted = TRY(try_reserve(core, lease, bytes, attempt == 0 ? wanted : bytes));
    if (granted.bytes >= bytes) return granted.bytes;
    if (bytes > core.max_size) break;
    const sys::FileLock lock = TRY(sys::FileLock::lock(core.gc_lock(), sys::LockKind::kExclusive, Cancel()));
    TRY(collect(core, {.max_size = core.max_size - bytes}, Cancel()));
  }
  granted.used = TRY(used_bytes(*core.database.lock()));
  return fail(Code::kResourceExhausted,
              "the store {} is limited to {} and holds {} that is in use: {} more do not fit; remove images and run "
              "`slipway gc`, or raise the limit",
              printable(core.root), human_size(core.max_size), human_size(granted.used), human_size(bytes));
}

std::int64_t free_bytes(const Core& core) {
  struct statvfs info{};
  if (::fstatvfs(core.directory.get(), &info) != 0) return std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(info.f_bavail * info.f_frsize);
}

Status unreserve(Connection& db, std::string_view lease, std::int64_t bytes) {
  if (bytes <= 0) return {};
  TRY(db.run("UPDATE leases SET reserved = max(0, reserved - ?) WHERE id = ?", {bytes, lease}));
  return {};
}

Error explain_full(const Core& core, Error error) {
  const bool full = error.sys_errno() == ENOSPC || error.sys_errno() == EDQUOT;
  if (!full) return error;
  struct statvfs info{};
  std::string free = "no space";
  if (::fstatvfs(core.directory.get(), &info) == 0) {
    const auto bytes = static_cast<std::int64_t>(info.f_bavail * info.f_frsize);
    free = info.f_files > 0 && info.f_favail == 0 ? "no inode" : human_size(bytes);
  }
  return std::move(error).with_hint(fmt::format(
      "the file system of {} is full ({} free); `slipway gc` removes what nothing needs", printable(core.root), free));
}

void fill_reserve(const Core& core) {
  const int root = core.directory.get();
  if (::mkdirat(root, "reserve", 0700) < 0 && errno != EEXIST) return;
  for (int i = 0; i < kReserveFiles; ++i) {
    const std::string name = fmt::format("reserve/{}", i);
    const auto there = sys::lstat_at(root, name);
    if (there && *there && (*there)->st_size == kReserveFileBytes) continue;
    const auto file = sys::open_at(root, name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
    if (!file) return;
    if (::fallocate(file->get(), 0, 0, kReserveFileBytes) < 0) {
      (void)::unlinkat(root, name.c_str(), 0);
      return;
    }
  }
}

bool release_reserve(const Core& core) {
  bool released = false;
  for (int i = 0; i < kReserveFiles; ++i)
    released = ::unlinkat(core.directory.get(), fmt::format("reserve/{}", i).c_str(), 0) == 0 || released;
  return released;
}

}  // namespace slipway::store
