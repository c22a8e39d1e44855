// The store: one content-addressed root shared by many processes. The door of this folder; docs/store.md is its page.
//
// Words. A *blob* is immutable bytes named by digest. A *snapshot* is an unpacked layer on top of others, named by
// chain ID; its directory holds only its own files and is an overlay lower. A *name* (tag) of a scope points at a
// manifest or index blob. A *record* is a build result under a cache key. A *lease* is a running command's claim: it
// lives while the OFD lock on work/<lease>/lock is held, so the kernel ends it with its process; whatever a lease
// acquired is safe from gc.
//
//   Store store = TRY(Store::open(root, {}));
//   Lease lease = TRY(store.lease("build"));
//   BlobWriter writer = TRY(store.write_blob(lease));
//   TRY(writer.write(bytes));
//   Blob blob = TRY(writer.commit({.digest = expected}));      // verified, fsynced, renamed, row committed, leased
//   TRY(store.set_name(scope, ref, blob.digest, Durable::kYes));
//
// Layout:  blobs/sha256/<hex>          0444
//          snapshots/<lease>-<n>/fs    overlay lower, never moved; ownership as stored (docs/isolation.md)
//          work/<lease>/…              unfinished; deletable once its lease is dead
//          meta.db                     SQLite, WAL; schema.hpp
//          gc.lock, keys/<hex>         OFD locks: one gc at a time, one execution per equal step
//
//          one-id              there while files record their owners (ids.cpp)
//          reserve/*           space and inodes that are given back when the disk is full, so that gc can work
//          meta.db.broken-*    what was set aside by a rebuild
//
// Order of a write: temporary file in work/<lease>, hashed while written → claim of the digest (a lease row) → fsync →
// rename into blobs/ → fsync of the directory → row. A snapshot's tree stays where it was filled, only its row
// names it; it is derived data and is not synced. Order of a removal: rows first, in the transaction that marked; then,
// in one that finds neither row nor claim, the bytes move to work/.trash and are deleted there. So a row never points
// at bytes that are not durable (R1), and bytes without a row and without a claim are garbage.
//
// Every failure is a Status; SQLite's busy, full and I/O errors arrive as kUnavailable, kResourceExhausted and
// kDataLoss. All calls may come from any thread. No connection crosses a fork.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "layer/layer.hpp"
#include "oci/digest.hpp"
#include "oci/image.hpp"
#include "oci/reference.hpp"
#include "sys/fd.hpp"
#include "sys/lock.hpp"

namespace slipway::store {

struct Blob {
  oci::Digest digest;
  std::int64_t size = 0;
};

/// A committed snapshot. `lowers` of a container's root are the `directory`s of its chain, topmost first.
struct Snapshot {
  oci::ChainId chain;
  std::optional<oci::ChainId> parent;
  oci::DiffId diff;
  bool empty = false;           ///< holds no file: leave it out of the lowers
  std::string directory;        ///< "<root>/snapshots/<name>/fs"
  std::int64_t tree_bytes = 0;  ///< sum of file sizes, for df and history
};

/// What is known of a layer by its diff ID: the blobs whose plain bytes it names.
struct LayerBlob {
  oci::DiffId diff;
  Blob blob;
  oci::Compression compression = oci::Compression::kNone;
  std::int64_t tree_bytes = 0;  ///< sum of file sizes: what docker calls the size of a layer
};

/// A name in a scope.
struct Name {
  std::string reference;  ///< canonical ("docker.io/library/debian:12"); empty for a dangling image
  oci::Digest target;     ///< manifest or index
  std::string media_type;
  std::int64_t created = 0;  ///< seconds since the epoch: when the name was set
  std::string word = {};     ///< on whose word the target is used (image/proofs.hpp); empty: nobody wrote it down
};

enum class Durable : unsigned char {
  kNo,   ///< survives kill -9
  kYes,  ///< survives power loss too: what a command reports as done
};

/// A piece of a build's result, upon others. What it needs stays as long as a record has it; a record of which a need
/// is gone is none.
struct RecordPart {
  std::string value;  ///< the build's own document (build/stack.hpp)
  std::optional<oci::ChainId> snapshot;
  std::optional<oci::Digest> blob;
};
/// A build record: the result of one cache key. Records whose parts begin alike share them: the results of the n steps
/// of a stage are n parts, not n².
struct Record {
  oci::Digest key;
  std::string scope;              ///< the trust domain that produced it
  std::string value;              ///< the build's own
  std::vector<RecordPart> parts;  ///< bottom first, at most kMostRecordParts
  std::int64_t last_used = 0;
};
inline constexpr std::size_t kMostRecordParts = 16384;

/// A build as `slipway why` tells of it. `identity` names all of it but the times: a build that did the same again is
/// the same.
struct BuildNote {
  oci::Digest identity;
  std::optional<oci::Digest> manifest, config;  ///< of the image it made; none when it failed
  std::string document;                         ///< the build's own (build/build_account.hpp)
  std::int64_t made = 0;                        ///< seconds since the epoch, given by the store
};

/// What a step of noted builds was made from. Kept as long as a build needs it, or an input that one needs.
struct BuildInput {
  oci::Digest key;
  std::string value;
  std::vector<oci::Digest> needs;  ///< keys of other inputs
};

/// The last builds of a scope are kept, as far as they and their inputs fit; the newest always.
inline constexpr std::int64_t kNotedBuilds = 64;
inline constexpr std::int64_t kNotedBytes = 32 << 20;  ///< a scope

class Lease;
class BlobWriter;
class SnapshotDraft;

struct OpenOptions {
  bool create = true;
  std::int64_t max_size = 0;  ///< 0: no limit. Enforced before writing: gc runs, then kResourceExhausted (R6)
  /// Removes a tree that may hold files of other ids (rootless: subordinate ids, which only root of the mapped user
  /// namespace may unlink). Default: sys::remove_tree.
  std::function<Status(int at, const std::string& name)> remove_tree;
};

struct Usage {
  std::int64_t blob_bytes = 0, blob_count = 0, snapshot_bytes = 0, snapshot_count = 0, record_count = 0, name_count = 0;
  std::int64_t cache_bytes = 0, cache_count = 0;        ///< of cache mounts
  std::int64_t meta_bytes = 0;                          ///< of meta.db, beyond an empty one
  std::int64_t pushed_count = 0, pushed_bytes = 0;      ///< repositories of `slipway registry`, and their blobs
  std::int64_t mirrored_count = 0, mirrored_bytes = 0;  ///< likewise of mirrors
  std::int64_t only_linked_bytes = 0;                   ///< of blobs that nothing but repositories needs
  std::int64_t reclaimable_bytes = 0;
};

struct GcOptions {
  std::optional<std::int64_t>
      max_size;      ///< remove unreferenced things, then the least recently used records and mirrored images
  bool all = false;  ///< also all build records, cache mounts and mirrored images that no lease uses
};
struct GcReport {
  std::int64_t removed_blobs = 0, removed_snapshots = 0, removed_records = 0, removed_caches = 0, removed_leases = 0,
               removed_mirrored = 0, freed_bytes = 0;
};

struct Finding {
  std::string object;   ///< "blob sha256:…", "snapshot …", "name debian:12", "meta.db"
  std::string problem;  ///< one clause: "is 512 bytes, should be 2048"
};

class Store {
 public:
  /// Opens (and with `create` makes, 0700) a root. Refuses: a root of another owner, a network file system (WAL needs
  /// one machine), a newer schema ("this store was written by a newer slipway…"). Migrates an older schema. A lost or
  /// broken meta.db is set aside and rebuilt from the blobs (R8).
  static Result<Store> open(const std::string& root, const OpenOptions& options);
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  [[nodiscard]] const std::string& root() const;
  /// Free bytes of the file system that holds the root, for this user; the largest number where it does not tell.
  [[nodiscard]] std::int64_t free_bytes() const;

  [[nodiscard]] Result<Lease> lease(std::string_view purpose);

  // --- blobs
  /// Known and acquired for `lease`, or nothing.
  [[nodiscard]] Result<std::optional<Blob>> acquire_blob(const Lease& lease, const oci::Digest& digest);
  /// Opens for reading. kNotFound without a row, kDataLoss with a row but no or shorter bytes.
  [[nodiscard]] Result<sys::Fd> open_blob(const oci::Digest& digest) const;
  /// Reads a whole small blob (manifest, config) and verifies its digest.
  [[nodiscard]] Result<std::string> read_blob(const oci::Digest& digest, std::int64_t limit) const;
  [[nodiscard]] Result<BlobWriter> write_blob(const Lease& lease);
  /// The same for bytes at hand.
  [[nodiscard]] Result<Blob> put_blob(const Lease& lease, std::string_view bytes);
  /// One download per blob: the holder of this lock transfers, others wait and then find it with acquire_blob.
  [[nodiscard]] Result<sys::FileLock> lock_key(const oci::Digest& key, const Cancel& cancel) const;

  // --- layers and snapshots
  [[nodiscard]] Result<std::vector<LayerBlob>> layer_blobs(const oci::DiffId& diff) const;
  [[nodiscard]] Status note_layer(const LayerBlob& layer);  ///< remembers which plain bytes a blob holds
  /// By blob digest: the diff ID of a layer blob that was unpacked or written here.
  [[nodiscard]] Result<std::optional<LayerBlob>> layer_of_blob(const oci::Digest& digest) const;
  /// Known, trusted in this boot (or marked by a completed syncfs), and acquired; or nothing.
  [[nodiscard]] Result<std::optional<Snapshot>> acquire_snapshot(const Lease& lease, const oci::ChainId& chain);
  [[nodiscard]] Result<SnapshotDraft> draft_snapshot(const Lease& lease);
  /// Names the tree of `of` once more: as the same change over `parent`, acquired. For a layer that does not depend on
  /// what lies below it. Nothing when one of the two is not here.
  [[nodiscard]] Result<std::optional<Snapshot>> share_snapshot(const Lease& lease, const oci::ChainId& of,
                                                               const std::optional<oci::ChainId>& parent);

  // --- cache mounts
  /// The layers of a cache, topmost first; none when there is none yet. Claimed: they stay while the lease lives.
  /// Filled by SnapshotDraft::extend_cache().
  [[nodiscard]] Result<std::vector<std::string>> acquire_cache(const Lease& lease, const oci::Digest& cache);

  // --- names
  [[nodiscard]] Status set_name(std::string_view scope, const oci::Reference& reference, const oci::Digest& target,
                                std::string_view media_type, Durable durable, std::string_view word = {});
  /// Many names at once, all or none; `references` may be empty: then the target is kept as a dangling image.
  [[nodiscard]] Status set_names(std::string_view scope, const std::vector<oci::Reference>& references,
                                 const oci::Digest& target, std::string_view media_type, Durable durable,
                                 std::string_view word = {});
  [[nodiscard]] Result<std::optional<Name>> find_name(std::string_view scope, const oci::Reference& reference) const;
  [[nodiscard]] Result<std::vector<Name>> list_names(std::string_view scope) const;
  [[nodiscard]] Result<bool> remove_name(std::string_view scope, const oci::Reference& reference, Durable durable);
  /// Drops every name (and the dangling entry) of a target; gives how many.
  [[nodiscard]] Result<int> remove_target(std::string_view scope, const oci::Digest& target, Durable durable);
  /// Acquires for `lease` all blobs that `target` needs as far as they are here (manifest, config, layers), in one step
  /// with the look-up.
  [[nodiscard]] Result<std::optional<Name>> acquire_name(const Lease& lease, std::string_view scope,
                                                         const oci::Reference& reference);

  // --- build records
  /// The record, with what its parts need acquired in the same transaction; nothing if some of it is gone.
  [[nodiscard]] Result<std::optional<Record>> acquire_record(const Lease& lease, std::string_view scope,
                                                             const oci::Digest& key);
  [[nodiscard]] Status put_record(const Record& record);
  [[nodiscard]] Status remove_record(std::string_view scope, const oci::Digest& key);

  // --- remembered facts: file sums of contexts and the like; losing one costs time, never correctness
  [[nodiscard]] Result<std::optional<std::string>> recall(std::string_view kind, std::string_view key) const;
  [[nodiscard]] Status remember(std::string_view kind, std::string_view key, std::string_view value);
  /// Many (key, value) pairs in one transaction.
  [[nodiscard]] Status remember(std::string_view kind, std::span<const std::pair<std::string, std::string>> facts);

  // --- noted builds: what `slipway why` tells; losing them costs knowledge, never correctness
  /// Makes a noted build the newest one again; false when it is not noted. Writes nothing when it is the newest already
  /// and was noted within the last minute.
  [[nodiscard]] Result<bool> renew_build(std::string_view scope, const oci::Digest& identity);
  /// Notes a build as the newest, `inputs` with it (those that are here already are replaced), and drops the oldest
  /// builds that are too many or too much. `needs`: keys of inputs, here already or among `inputs`.
  [[nodiscard]] Status note_build(std::string_view scope, const BuildNote& build, const std::vector<oci::Digest>& needs,
                                  const std::vector<BuildInput>& inputs);
  /// The noted builds, newest first.
  [[nodiscard]] Result<std::vector<BuildNote>> noted_builds(std::string_view scope) const;
  [[nodiscard]] Result<std::optional<std::string>> build_input(std::string_view scope, const oci::Digest& key) const;
  [[nodiscard]] Result<bool> has_build_input(std::string_view scope, const oci::Digest& key) const;

  // --- upkeep
  /// Adds how much is free and what to do to an error of a full disk below the root; others pass.
  [[nodiscard]] Error explain(Error error) const;
  /// Makes everything committed so far survive power loss (one WAL sync); what a command calls before it says "done".
  [[nodiscard]] Status flush();
  /// Marks snapshots of this boot as durable after a completed syncfs; best run in the background.
  [[nodiscard]] Status mark_snapshots_durable();
  [[nodiscard]] Result<Usage> usage() const;
  [[nodiscard]] Result<GcReport> gc(const GcOptions& options, const Cancel& cancel);
  /// Re-hashes every blob, compares every snapshot with the layer it was made from, checks rows both ways. Empty: all
  /// is well. A whole blob without a row is garbage, not a finding. With `repair` drops what is broken (and names that
  /// need it), never what is good; the findings are then what was found and dropped.
  [[nodiscard]] Result<std::vector<Finding>> fsck(bool repair, const Cancel& cancel);

 private:
  friend class Lease;
  friend class BlobWriter;
  friend class SnapshotDraft;
  friend class Repositories;  // store/repositories.hpp: what a registry keeps
  friend class Origins;       // store/origins.hpp: who else has a blob
  struct State;
  explicit Store(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

/// A claim of a running command; ends with the object or the process.
class [[nodiscard]] Lease {
 public:
  Lease(Lease&&) noexcept;
  Lease& operator=(Lease&&) noexcept;
  ~Lease();  ///< removes work/<id> and its rows
  [[nodiscard]] const std::string& id() const;
  [[nodiscard]] const std::string& directory() const;  ///< "<root>/work/<id>", on the file system of the store

 private:
  friend class Store;
  struct State;
  explicit Lease(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

/// What the bytes must be. Size is checked first, then the digest; on a mismatch nothing is kept (invariant 4).
struct Expected {
  std::optional<oci::Digest> digest;
  std::optional<std::int64_t> size;
};

class [[nodiscard]] BlobWriter {
 public:
  BlobWriter(BlobWriter&&) noexcept;
  BlobWriter& operator=(BlobWriter&&) noexcept;
  ~BlobWriter();  ///< drops the bytes unless committed
  /// kResourceExhausted before the store would pass its limit or the disk is full.
  [[nodiscard]] Status write(std::string_view bytes);
  [[nodiscard]] std::int64_t written() const;
  /// A descriptor to read what was written, also after the end of this object.
  [[nodiscard]] Result<sys::Fd> reader() const;
  /// Verifies, makes durable, names. If the blob is there already, the new bytes are dropped. The blob is acquired for
  /// the lease.
  [[nodiscard]] Result<Blob> commit(const Expected& expected);

 private:
  friend class Store;
  struct State;
  explicit BlobWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A snapshot in the making: `fs` is filled by unpacking, or is the upper directory of an overlay (with `work` beside
/// it).
class [[nodiscard]] SnapshotDraft {
 public:
  SnapshotDraft(SnapshotDraft&&) noexcept;
  SnapshotDraft& operator=(SnapshotDraft&&) noexcept;
  ~SnapshotDraft();  ///< removes the tree unless it was committed and is the one that the chain's row names
  [[nodiscard]] const std::string& directory() const;  ///< holds "fs" and "work", both made, 0755 and 0700
  [[nodiscard]] std::string fs() const { return directory() + "/fs"; }
  [[nodiscard]] std::string work() const { return directory() + "/work"; }
  /// With a size limit: makes room for a tree of `bytes` in all before it is written, or kResourceExhausted. An
  /// unpacker that knows its layer's size calls it first; commit() checks what was not reserved.
  [[nodiscard]] Status reserve(std::int64_t bytes);
  /// Names it; the tree does not move, so that overlays over it may come and go meanwhile. If the chain is there
  /// already, the existing snapshot is given (both are equal by content) and this tree goes with the object. Acquired
  /// for the lease.
  struct Facts {
    std::optional<oci::ChainId> parent;
    oci::DiffId diff;
    bool empty = false;
    std::int64_t tree_bytes = 0;
    /// `diff` is what layer::write_changes gives of this very tree over its parents (nothing clamped): fsck can check
    /// the tree even when no blob of the layer is here.
    bool written_here = false;
  };
  [[nodiscard]] Result<Snapshot> commit(const Facts& facts);
  /// Instead of commit(): makes the tree the topmost layer of a cache that the lease has acquired.
  [[nodiscard]] Status extend_cache(const oci::Digest& cache);
  /// Likewise, for a tree that holds all that the cache's `layers` layers hold. Does nothing when somebody else uses
  /// the cache or has extended it meanwhile.
  [[nodiscard]] Status replace_cache(const oci::Digest& cache, std::size_t layers);

 private:
  friend class Store;
  struct State;
  explicit SnapshotDraft(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipway::store
