// What the files of this folder share: the open root. Not part of the door.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/synced.hpp"
#include "oci/digest.hpp"
#include "store/schema.hpp"
#include "store/sqlite.hpp"
#include "store/store.hpp"
#include "sys/fd.hpp"
#include "sys/lock.hpp"

namespace slipway::store {

/// One open root. Threads share it; nothing in it is a copy of what the database knows.
struct Core {
  std::string root;
  sys::Fd directory;  ///< of root
  std::int64_t max_size = 0;
  std::string boot;  ///< this boot's id
  std::function<Status(int at, const std::string& name)> remove_tree;
  /// Lock it for one transaction or query, never while waiting for anything but SQLite, never twice in one call chain.
  Synced<Connection> database;
  std::atomic<std::uint64_t> serial = 0;  ///< makes names in work/ unique within the process

  [[nodiscard]] std::string database_path() const { return root + "/meta.db"; }
  [[nodiscard]] std::string blob_directory(const oci::Digest& digest) const;
  [[nodiscard]] std::string blob_path(const oci::Digest& digest) const;
  /// The "fs" of a snapshot, by the name of its directory.
  [[nodiscard]] std::string snapshot_path(std::string_view directory) const {
    return fmt::format("{}/snapshots/{}/fs", root, directory);
  }
  [[nodiscard]] std::string lease_path(std::string_view lease) const { return root + "/work/" + std::string(lease); }
  [[nodiscard]] std::string trash() const { return root + "/work/.trash"; }
  [[nodiscard]] std::string gc_lock() const { return root + "/gc.lock"; }
  /// A name nobody in this process has used.
  [[nodiscard]] std::string fresh_name(std::string_view prefix) { return fmt::format("{}-{}", prefix, ++serial); }

  /// Whether the blob's file is there with this size (no hashing: that is fsck's and the reader's part).
  [[nodiscard]] bool has_bytes(const oci::Digest& digest, std::int64_t size) const;
};

// --- root.cpp: opening

/// Refuses what can not be a root; makes it when `create`; opens, migrates or rebuilds its database.
[[nodiscard]] Result<std::shared_ptr<Core>> open_core(const std::string& root, const OpenOptions& options);

// --- rebuild.cpp

/// Sets meta.db aside (when there is one) and makes a new one from the blobs: rows for those whose bytes match, names
/// saved from the old file as far as it can be read, dangling names for other images. Holder of gc.lock only.
[[nodiscard]] Status rebuild(Core& core);

// --- blobs.cpp

[[nodiscard]] Result<sys::Fd> open_blob(Core& core, const oci::Digest& digest);
[[nodiscard]] Result<std::string> read_blob(Core& core, const oci::Digest& digest, std::int64_t limit);
/// The digest of a file's bytes and how many they are. Looks at `cancel` on the way.
struct Hashed {
  oci::Digest digest;
  std::int64_t size = 0;
};
[[nodiscard]] Result<Hashed> hash_file(const std::string& path, oci::Algorithm algorithm, const Cancel& cancel);
/// In a write transaction: claims the blob for `lease` when it is here with its bytes.
[[nodiscard]] Result<std::optional<Blob>> claim_blob(const Core& core, Connection& db, std::string_view lease,
                                                     const oci::Digest& digest);

/// Makes the verified bytes of `file` (at `path`, on this file system) the blob `blob`: claim, fsync, rename, row. If
/// it is here already, the file stays where it is. `with_row` writes more rows in the transaction of the row.
[[nodiscard]] Result<Blob> adopt(Core& core, std::string_view lease, const Blob& blob, int file,
                                 const std::string& path, const std::function<Status(Connection& db)>& with_row);

// --- lease.cpp

/// Whether `path` still names the file that `lock` holds: a lock on one that was moved away excludes nobody.
[[nodiscard]] Result<bool> names(const std::string& path, const sys::FileLock& lock);
/// kAborted when the lease has no row (any more): claims of it would protect nothing.
[[nodiscard]] Status check_lease(Connection& db, std::string_view lease);
/// Inside a write transaction: protects `digest` from gc for the lease's life.
[[nodiscard]] Status claim(Connection& db, std::string_view lease, Need need, const oci::Digest& digest);
/// Removes the rows of a lease.
[[nodiscard]] Status forget_lease(Connection& db, std::string_view lease);
/// Leases of work/ whose lock nobody holds are moved to the trash, their rows removed; gives how many. Holder of
/// gc.lock only. With `quick`, trees are left for gc and only a few leases are looked at.
[[nodiscard]] Result<std::int64_t> sweep_leases(Core& core, bool quick);
/// What the bytes of the trash are; removes them. Holder of gc.lock only.
[[nodiscard]] Status empty_trash(Core& core);

// --- snapshots.cpp

/// A snapshot row that may be used: of this boot or durable, tree in place. Nothing otherwise.
[[nodiscard]] Result<std::optional<Snapshot>> find_snapshot(Core& core, Connection& db, const oci::Digest& chain);

// --- names.cpp

/// Parses `target` and what it points at as far as it is here and not known yet, and writes the refs.
[[nodiscard]] Status expand_refs(Core& core, const oci::Digest& target, std::string_view media_type);
/// All blobs that refs reach from `target`, itself included, whether or not they are here.
[[nodiscard]] Result<std::vector<oci::Digest>> reach(Connection& db, const oci::Digest& target);
/// Inside a write transaction: points the references (none: the dangling entry) at `target`.
[[nodiscard]] Status write_names(Connection& db, std::string_view scope, const std::vector<std::string>& references,
                                 const oci::Digest& target, std::string_view media_type, std::int64_t created,
                                 std::string_view word);

// --- gc.cpp

/// Sum of the sizes of the regular files of a tree; best effort, 100 levels deep.
[[nodiscard]] std::int64_t tree_size(int at, const std::string& name, int depth = 0);

/// Store::gc for one who holds gc.lock.
[[nodiscard]] Result<GcReport> collect(Core& core, const GcOptions& options, const Cancel& cancel);

// --- space.cpp

/// Free bytes of the root's file system.
[[nodiscard]] std::int64_t free_bytes(const Core& core);
/// Makes room for `bytes` (a reservation on the lease's row) below max_size; runs gc when there is none, then fails
/// with kResourceExhausted. Gives how much was granted: at least `bytes`, at most `wanted`. 0 without a limit.
[[nodiscard]] Result<std::int64_t> reserve(Core& core, std::string_view lease, std::int64_t bytes, std::int64_t wanted);
/// Inside a write transaction: gives a reservation back.
[[nodiscard]] Status unreserve(Connection& db, std::string_view lease, std::int64_t bytes);
/// Bytes that count against max_size: blobs, snapshot trees, reservations.
[[nodiscard]] Result<std::int64_t> used_bytes(Connection& db);
/// Bytes of meta.db's used pages that an empty one does not have.
[[nodiscard]] Result<std::int64_t> meta_bytes(Connection& db);
/// Makes sure that the root's trees have the kind of ids that this process has (ids.cpp).
[[nodiscard]] Status match_ids(Core& core);
/// Drops all noted builds and their inputs.
[[nodiscard]] Status forget_builds(Core& core);
/// Adds what to do to an error of a full disk; others pass.
[[nodiscard]] Error explain_full(const Core& core, Error error);
template <class T>
[[nodiscard]] Result<T> explain_full(const Core& core, Result<T> result) {
  if (!result) return std::unexpected(explain_full(core, std::move(result).error()));
  return result;
}
/// The files of reserve/: space and inodes kept for the day the disk is full. Filling is best effort.
void fill_reserve(const Core& core);
/// Gives the reserve to the file system; true when there was something to give.
bool release_reserve(const Core& core);

}  // namespace slipway::store
