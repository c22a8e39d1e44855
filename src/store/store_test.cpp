#include "store/store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "store/core.hpp"
#include "store/test_image.hpp"
#include "sys/lock.hpp"

namespace slipway::store {
namespace {

using testing::kScope;

using testing::StoredImage;

struct StoreTest : ::testing::Test {
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-store-test-");
  std::string root = dir.path() + "/root";

  Store open(std::int64_t max_size = 0) {
    auto store = Store::open(root, {.create = true, .max_size = max_size, .remove_tree = {}});
    EXPECT_TRUE(store) << store.error().message();
    return *std::move(store);
  }
  std::string blob_path(const oci::Digest& digest) const { return root + "/blobs/sha256/" + digest.hex(); }
  static bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
  static std::vector<std::string> list(const std::string& path) {
    const auto fd = sys::open(path, O_RDONLY | O_DIRECTORY);
    return fd ? *sys::list_directory(fd->get(), path) : std::vector<std::string>();
  }
  static std::vector<std::string> problems(Store& store, bool repair = false) {
    std::vector<std::string> out;
    const auto found = store.fsck(repair, Cancel());
    if (!found) return {"error: " + found.error().message()};
    for (const auto& finding : *found) out.push_back(finding.object + " " + finding.problem);
    return out;
  }
  static void overwrite(const std::string& path, std::int64_t offset, std::string_view bytes) {
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
    const sys::Fd file = *sys::open(path, O_RDWR);
    ASSERT_TRUE(sys::write_all_at(file.get(), bytes, offset));
  }
  /// Lets nobody but the database know: for files that a test breaks.
  static StoredImage image(Store& store, const Lease& lease, std::uint64_t seed) {
    return *testing::store_image(store, lease, *testing::seed_tars(seed));
  }
};
/// Rounds of a heavy loop; SLIPWAY_STORE_ROUNDS multiplies them for a long run.
std::uint64_t rounds(std::uint64_t usual) {
  const char* factor = std::getenv("SLIPWAY_STORE_ROUNDS");
  return factor == nullptr ? usual : usual * std::strtoull(factor, nullptr, 10);
}

using BlobTest = StoreTest;
using LeaseTest = StoreTest;
using SnapshotTest = StoreTest;
using NameTest = StoreTest;
using RecordTest = StoreTest;
using GcTest = StoreTest;
using FsckTest = StoreTest;
using RootTest = StoreTest;
using LimitTest = StoreTest;

// --- blobs

TEST_F(BlobTest, WhatWasCommittedIsReadBack) {
  Store store = open();
  const Lease lease = *store.lease("test");
  BlobWriter writer = *store.write_blob(lease);
  ASSERT_TRUE(writer.write("hello "));
  ASSERT_TRUE(writer.write("world"));
  EXPECT_EQ(writer.written(), 11);
  const Blob blob = *writer.commit({.digest = oci::Digest::of("hello world"), .size = 11});
  EXPECT_EQ(*store.read_blob(blob.digest, 100), "hello world");
  EXPECT_EQ(store.read_blob(blob.digest, 10).error().code(), Code::kOutOfRange);
  struct stat info{};
  ASSERT_EQ(::stat(blob_path(blob.digest).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0444U);
  EXPECT_EQ(store.open_blob(oci::Digest::of("other")).error().code(), Code::kNotFound);
}

TEST_F(BlobTest, AMismatchKeepsNothing) {
  Store store = open();
  const Lease lease = *store.lease("test");
  for (const Expected& expected : {Expected{.digest = oci::Digest::of("other"), .size = {}},
                                   Expected{.digest = oci::Digest::of("bytes"), .size = 4}}) {
    BlobWriter writer = *store.write_blob(lease);
    ASSERT_TRUE(writer.write("bytes"));
    EXPECT_EQ(writer.commit(expected).error().code(), Code::kDataLoss);
  }
  EXPECT_TRUE(list(root + "/blobs/sha256").empty());
  EXPECT_EQ(list(lease.directory()), std::vector<std::string>{"lock"});
}

TEST_F(BlobTest, ADuplicateIsDroppedAndAnAbandonedOneToo) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const Blob first = *store.put_blob(lease, "bytes");
  struct stat before{};
  ASSERT_EQ(::stat(blob_path(first.digest).c_str(), &before), 0);
  {
    BlobWriter writer = *store.write_blob(lease);
    ASSERT_TRUE(writer.write("bytes"));
    EXPECT_EQ(writer.commit({})->digest, first.digest);
    BlobWriter abandoned = *store.write_blob(lease);
    ASSERT_TRUE(abandoned.write("half of something"));
  }
  struct stat after{};
  ASSERT_EQ(::stat(blob_path(first.digest).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(list(root + "/blobs/sha256").size(), 1U);
  EXPECT_EQ(list(lease.directory()), std::vector<std::string>{"lock"});
}

TEST_F(BlobTest, Sha512IsVerifiedAndKeptApart) {
  Store store = open();
  const Lease lease = *store.lease("test");
  oci::Hasher hasher(oci::Algorithm::kSha512);
  hasher.update("bytes");
  const oci::Digest digest = hasher.finish();
  BlobWriter writer = *store.write_blob(lease);
  ASSERT_TRUE(writer.write("bytes"));
  ASSERT_TRUE(writer.commit({.digest = digest, .size = 5}));
  EXPECT_EQ(*store.read_blob(digest, 100), "bytes");
  EXPECT_TRUE(*store.acquire_blob(lease, digest));
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(BlobTest, MissingBytesAreToldAndHealedByTheNextWrite) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const Blob blob = *store.put_blob(lease, "bytes");
  ASSERT_EQ(::unlink(blob_path(blob.digest).c_str()), 0);
  EXPECT_EQ(store.open_blob(blob.digest).error().code(), Code::kDataLoss);
  EXPECT_FALSE(*store.acquire_blob(lease, blob.digest));
  ASSERT_TRUE(store.put_blob(lease, "bytes"));
  ASSERT_EQ(::truncate(blob_path(blob.digest).c_str(), 3), 0);
  EXPECT_EQ(store.open_blob(blob.digest).error().code(), Code::kDataLoss);
  ASSERT_TRUE(store.put_blob(lease, "bytes"));
  overwrite(blob_path(blob.digest), 1, "i");
  EXPECT_EQ(store.read_blob(blob.digest, 100).error().code(), Code::kDataLoss);
}

TEST_F(BlobTest, AKeyHasOneHolder) {
  Store store = open();
  const oci::Digest key = oci::Digest::of("key");
  auto first = std::make_unique<sys::FileLock>(*store.lock_key(key, Cancel()));
  CancelSource cancelled;
  cancelled.fire("test");
  EXPECT_EQ(store.lock_key(key, cancelled.cancel()).error().code(), Code::kCancelled);
  std::thread waiter([&] { EXPECT_TRUE(store.lock_key(key, Cancel())); });
  first.reset();
  waiter.join();
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_TRUE(list(root + "/keys").empty());
  EXPECT_TRUE(store.lock_key(key, Cancel()));
}

// --- leases

TEST_F(LeaseTest, ItsEndLeavesNothing) {
  Store store = open();
  std::string directory;
  {
    const Lease lease = *store.lease("test");
    directory = lease.directory();
    ASSERT_TRUE(*sys::is_locked(directory + "/lock"));
    ASSERT_TRUE(sys::replace_file(directory + "/rubbish", "x", 0600));
    ASSERT_TRUE(store.put_blob(lease, "bytes"));
  }
  EXPECT_FALSE(exists(directory));
  Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
  EXPECT_EQ(**db.number("SELECT (SELECT count(*) FROM leases) + (SELECT count(*) FROM lease_needs)"), 0);
}

TEST_F(LeaseTest, ADeadOneIsSweptAndALivingOneIsNot) {
  Store store = open();
  const Lease living = *store.lease("living");
  // What a killed process leaves: the rows, and a directory whose lock nobody holds.
  ASSERT_EQ(::mkdir((root + "/work/dead").c_str(), 0700), 0);
  ASSERT_TRUE(sys::make_directories(root + "/work/dead/draft-1/fs/usr", 0700));
  ASSERT_TRUE(sys::replace_file(root + "/work/dead/lock", "", 0600));
  ASSERT_EQ(::mkdir((root + "/work/empty").c_str(), 0700), 0);
  {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("INSERT INTO leases VALUES ('dead', 'x', 0, 5), ('gone', 'x', 0, 5)"));
    ASSERT_TRUE(db.execute("INSERT INTO lease_needs VALUES ('dead', 0, x'00'), ('never', 0, x'00')"));
  }
  const GcReport report = *store.gc({}, Cancel());
  EXPECT_EQ(report.removed_leases, 2);
  EXPECT_EQ(list(root + "/work").size(), 2U);  // the living one and .trash
  EXPECT_TRUE(exists(living.directory()));
  Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
  EXPECT_EQ(**db.number("SELECT count(*) FROM leases"), 1);
  EXPECT_EQ(**db.number("SELECT count(*) FROM lease_needs"), 0);
}

TEST_F(LeaseTest, MakingOneSweepsTheLightDeadOnes) {
  Store store = open();
  ASSERT_TRUE(sys::make_directories(root + "/work/light", 0700));
  ASSERT_TRUE(sys::replace_file(root + "/work/light/lock", "", 0600));
  ASSERT_TRUE(sys::make_directories(root + "/work/heavy/draft-1/fs", 0700));
  ASSERT_TRUE(sys::replace_file(root + "/work/heavy/lock", "", 0600));
  const Lease lease = *store.lease("test");
  EXPECT_FALSE(exists(root + "/work/light"));
  EXPECT_TRUE(exists(root + "/work/heavy"));  // gc's work: a build does not remove trees for others
}

TEST_F(LeaseTest, ItProtectsFromGcUntilItsEnd) {
  Store store = open();
  oci::Digest digest = oci::Digest::of("bytes");
  {
    const Lease lease = *store.lease("test");
    ASSERT_TRUE(store.put_blob(lease, "bytes"));
    ASSERT_TRUE(store.gc({.max_size = 0, .all = true}, Cancel()));
    EXPECT_TRUE(store.open_blob(digest));
  }
  EXPECT_EQ(store.gc({}, Cancel())->removed_blobs, 1);
  EXPECT_EQ(store.open_blob(digest).error().code(), Code::kNotFound);
  EXPECT_TRUE(list(root + "/blobs/sha256").empty());
}

// --- snapshots

TEST_F(SnapshotTest, CommitNamesTheTreeAndADuplicateGivesTheFirst) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const oci::DiffId diff{oci::Digest::of("layer")};
  SnapshotDraft first = *store.draft_snapshot(lease);
  ASSERT_TRUE(sys::replace_file(first.fs() + "/file", "1", 0644));
  const Snapshot made = *first.commit({.parent = {}, .diff = diff, .tree_bytes = 1});
  EXPECT_EQ(made.chain, oci::ChainId::first(diff));
  EXPECT_EQ(*sys::read_file(made.directory + "/file", 10), "1");

  SnapshotDraft second = *store.draft_snapshot(lease);
  ASSERT_TRUE(sys::replace_file(second.fs() + "/file", "2", 0644));
  EXPECT_EQ(second.commit({.parent = {}, .diff = diff, .tree_bytes = 1})->directory, made.directory);
  EXPECT_TRUE(exists(second.fs()));  // a running overlay may use it
  EXPECT_EQ(*sys::read_file(made.directory + "/file", 10), "1");

  SnapshotDraft child = *store.draft_snapshot(lease);
  const Snapshot top = *child.commit({.parent = made.chain, .diff = diff, .empty = true});
  const auto found = *store.acquire_snapshot(lease, top.chain);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->parent, made.chain);
  EXPECT_TRUE(found->empty);
}

TEST_F(SnapshotTest, ADraftThatIsNotCommittedLeavesNothing) {
  Store store = open();
  const Lease lease = *store.lease("test");
  std::string directory;
  {
    const SnapshotDraft draft = *store.draft_snapshot(lease);
    directory = draft.directory();
    ASSERT_TRUE(sys::replace_file(draft.fs() + "/file", "1", 0644));
    struct stat info{};
    ASSERT_EQ(::stat(draft.fs().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0755U);
    ASSERT_EQ(::stat(draft.work().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0700U);
  }
  EXPECT_FALSE(exists(directory));
}

TEST_F(SnapshotTest, AnotherBootsCountsOnlyWhenDurable) {
  Store store = open();
  const oci::DiffId diff{oci::Digest::of("layer")};
  const oci::ChainId chain = oci::ChainId::first(diff);
  const Lease lease = *store.lease("test");
  const auto make = [&] {
    SnapshotDraft draft = *store.draft_snapshot(lease);
    ASSERT_TRUE(draft.commit({.parent = {}, .diff = diff}));
  };
  const auto reboot = [&] {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("UPDATE snapshots SET boot = 'another'"));
  };
  make();
  reboot();
  EXPECT_FALSE(*store.acquire_snapshot(lease, chain));
  make();  // unpacked again, over the old tree
  EXPECT_TRUE(*store.acquire_snapshot(lease, chain));
  ASSERT_TRUE(store.mark_snapshots_durable());
  reboot();
  EXPECT_TRUE(*store.acquire_snapshot(lease, chain));
}

TEST_F(SnapshotTest, AMissingTreeIsNotGiven) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const oci::DiffId diff{oci::Digest::of("layer")};
  SnapshotDraft draft = *store.draft_snapshot(lease);
  const Snapshot snapshot = *draft.commit({.parent = {}, .diff = diff});
  ASSERT_TRUE(sys::remove_tree(AT_FDCWD, snapshot.directory));
  EXPECT_FALSE(*store.acquire_snapshot(lease, snapshot.chain));
  SnapshotDraft again = *store.draft_snapshot(lease);
  ASSERT_TRUE(again.commit({.parent = {}, .diff = diff}));
  EXPECT_TRUE(*store.acquire_snapshot(lease, snapshot.chain));
}

TEST_F(SnapshotTest, LayersAreKnownByDiffAndByBlob) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const StoredImage stored = image(store, lease, 1);
  const auto& layer = stored.layers.front();
  const auto blobs = *store.layer_blobs(layer.diff);
  ASSERT_EQ(blobs.size(), 1U);
  EXPECT_EQ(blobs[0].blob.digest, layer.descriptor.digest);
  EXPECT_EQ(blobs[0].compression, oci::Compression::kGzip);
  EXPECT_EQ((*store.layer_of_blob(layer.descriptor.digest))->diff, layer.diff);
  EXPECT_FALSE(*store.layer_of_blob(stored.config));
}

// --- names

TEST_F(NameTest, OneReferenceOneTargetAndDanglingOnes) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const StoredImage one = image(store, lease, 1);
  const StoredImage two = image(store, lease, 2);
  const auto app = *oci::Reference::parse("app:1");
  const auto other = *oci::Reference::parse("other:1");
  const auto type = oci::media_type::kOciManifest;
  ASSERT_TRUE(store.set_names(kScope, {}, one.manifest, type, Durable::kNo));
  ASSERT_EQ(store.list_names(kScope)->size(), 1U);
  EXPECT_EQ(store.list_names(kScope)->front().reference, "");
  ASSERT_TRUE(store.set_names(kScope, {app, other}, one.manifest, type, Durable::kYes));
  EXPECT_EQ(store.list_names(kScope)->size(), 2U);  // named: dangling no more
  ASSERT_TRUE(store.set_name(kScope, app, two.manifest, type, Durable::kYes));
  EXPECT_EQ((*store.find_name(kScope, app))->target, two.manifest);
  EXPECT_EQ((*store.find_name(kScope, other))->target, one.manifest);
  EXPECT_FALSE(*store.find_name("another scope", app));
  EXPECT_TRUE(*store.remove_name(kScope, app, Durable::kYes));
  EXPECT_FALSE(*store.remove_name(kScope, app, Durable::kYes));
  EXPECT_EQ(*store.remove_target(kScope, one.manifest, Durable::kNo), 1);
  EXPECT_TRUE(store.list_names(kScope)->empty());
}

TEST_F(NameTest, ATargetMustBeAnImageThatIsHere) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const auto app = *oci::Reference::parse("app:1");
  EXPECT_EQ(store.set_name(kScope, app, oci::Digest::of("x"), oci::media_type::kOciManifest, Durable::kNo).error().code(),
            Code::kNotFound);
  const Blob blob = *store.put_blob(lease, "no manifest");
  EXPECT_FALSE(store.set_name(kScope, app, blob.digest, oci::media_type::kOciManifest, Durable::kNo));
  EXPECT_TRUE(store.list_names(kScope)->empty());
}

TEST_F(NameTest, AcquiringANameProtectsAllItNeeds) {
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  const Lease lease = *store.lease("test");
  const auto name = *store.acquire_name(lease, kScope, testing::seed_name(1));
  ASSERT_TRUE(name);
  ASSERT_TRUE(store.remove_name(kScope, testing::seed_name(1), Durable::kNo));
  ASSERT_TRUE(store.gc({.max_size = 0, .all = true}, Cancel()));
  const auto manifest = *oci::Manifest::parse(*store.read_blob(name->target, 1 << 20), name->media_type);
  EXPECT_TRUE(store.read_blob(manifest.config().digest, 1 << 20));
  for (const auto& layer : manifest.layers()) EXPECT_TRUE(store.read_blob(layer.digest, 1 << 20));
  EXPECT_FALSE(*store.acquire_name(lease, kScope, testing::seed_name(1)));
}

TEST_F(NameTest, AnIndexKeepsTheManifestsThatAreHere) {
  Store store = open();
  const auto app = *oci::Reference::parse("app:1");
  std::optional<StoredImage> stored;
  {
    const Lease lease = *store.lease("test");
    stored = image(store, lease, 1);
    const auto descriptor = [](const oci::Digest& digest) {
      return oci::Descriptor{.media_type = std::string(oci::media_type::kOciManifest),
                             .digest = digest,
                             .size = 1,
                             .urls = {},
                             .annotations = {},
                             .platform = oci::Platform{}};
    };
    const auto index = oci::Index::make(
        oci::Family::kOci, {descriptor(stored->manifest), descriptor(oci::Digest::of("another platform's"))});
    const Blob blob = *store.put_blob(lease, index.raw());
    ASSERT_TRUE(store.set_name(kScope, app, blob.digest, oci::media_type::kOciIndex, Durable::kNo));
  }
  ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
  EXPECT_TRUE(store.open_blob(stored->config));
  const Lease lease = *store.lease("test");
  EXPECT_TRUE(*store.acquire_snapshot(lease, stored->layers.back().snapshot.chain));
  EXPECT_TRUE(problems(store).empty());
}

// --- records and facts

TEST_F(RecordTest, IsGivenWithAllItNeedsOrNotAtAll) {
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  const oci::Digest key = testing::seed_key(1);
  {
    const Lease lease = *store.lease("test");
    const auto record = *store.acquire_record(lease, kScope, key);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->value, "record 1");
    ASSERT_EQ(record->snapshots.size(), 1U);
    EXPECT_FALSE(*store.acquire_record(lease, "another scope", key));
    ASSERT_TRUE(store.remove_name(kScope, testing::seed_name(1), Durable::kNo));
    ASSERT_TRUE(store.gc({.max_size = 0, .all = true}, Cancel()));
    EXPECT_TRUE(*store.acquire_snapshot(lease, record->snapshots[0]));  // and those below it
    EXPECT_EQ(store.usage()->snapshot_count, 2);
    EXPECT_EQ(store.usage()->record_count, 1);
  }
  // Another boot's snapshots are gone, and with one of them the record.
  {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("UPDATE snapshots SET boot = 'another' WHERE parent IS NULL"));
  }
  const Lease lease = *store.lease("test");
  EXPECT_FALSE(*store.acquire_record(lease, kScope, key));
}

TEST_F(RecordTest, NeedsMustBeHereWhenItIsPut) {
  Store store = open();
  const oci::Digest missing = oci::Digest::of("missing");
  Record record{.key = oci::Digest::of("key"), .scope = "s", .value = "", .snapshots = {{missing}}, .blobs = {}};
  EXPECT_EQ(store.put_record(record).error().code(), Code::kFailedPrecondition);
  record.snapshots = {};
  record.blobs = {missing};
  EXPECT_EQ(store.put_record(record).error().code(), Code::kFailedPrecondition);
  record.blobs = {};
  ASSERT_TRUE(store.put_record(record));
  ASSERT_TRUE(store.put_record(record));
  const Lease lease = *store.lease("test");
  EXPECT_TRUE(*store.acquire_record(lease, "s", record.key));
  ASSERT_TRUE(store.remove_record("s", record.key));
  EXPECT_FALSE(*store.acquire_record(lease, "s", record.key));
}

TEST_F(RecordTest, FactsAreRemembered) {
  Store store = open();
  const std::string value("a\0b", 3);
  EXPECT_FALSE(*store.recall("sum", "key"));
  ASSERT_TRUE(store.remember("sum", "key", "old"));
  ASSERT_TRUE(store.remember("sum", "key", value));
  EXPECT_EQ(**store.recall("sum", "key"), value);
  EXPECT_FALSE(*store.recall("other", "key"));
}

// --- gc

TEST_F(GcTest, KeepsWhatNamesNeedAndTakesTheRest) {
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  ASSERT_TRUE(testing::build_seed(store, 2));
  ASSERT_TRUE(store.remove_name(kScope, testing::seed_name(2), Durable::kNo));
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_EQ(store.usage()->snapshot_count, 4);  // the record of seed 2 needs them still
  const Usage usage = *store.usage();
  const GcReport report = *store.gc({.max_size = {}, .all = true}, Cancel());
  EXPECT_EQ(report.removed_records, 2);
  EXPECT_EQ(report.removed_snapshots, 2);
  EXPECT_EQ(report.removed_blobs, 3);  // two layers and the config; the manifest went with its name
  EXPECT_EQ(report.freed_bytes, usage.reclaimable_bytes);
  EXPECT_TRUE(testing::verify_seed(store, 1));
  EXPECT_EQ(list(root + "/blobs/sha256").size(), 4U);
  EXPECT_EQ(list(root + "/snapshots").size(), 2U);
  EXPECT_TRUE(list(root + "/work/.trash").empty());
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(GcTest, DropsTheLeastRecentlyUsedRecordsFirst) {
  Store store = open();
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    ASSERT_TRUE(testing::build_seed(store, seed));
    ASSERT_TRUE(store.remove_name(kScope, testing::seed_name(seed), Durable::kNo));
  }
  {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("UPDATE records SET last_used = CASE value WHEN CAST('record 1' AS BLOB) THEN 30 WHEN "
                           "CAST('record 2' AS BLOB) THEN 10 ELSE 20 END"));
  }
  ASSERT_TRUE(store.gc({}, Cancel()));
  const Usage usage = *store.usage();
  ASSERT_EQ(usage.record_count, 3);
  const std::int64_t total = usage.blob_bytes + usage.snapshot_bytes;
  ASSERT_TRUE(store.gc({.max_size = total - 1}, Cancel()));
  const Lease lease = *store.lease("test");
  EXPECT_FALSE(*store.acquire_record(lease, kScope, testing::seed_key(2)));
  EXPECT_TRUE(*store.acquire_record(lease, kScope, testing::seed_key(3)));
  EXPECT_TRUE(*store.acquire_record(lease, kScope, testing::seed_key(1)));
  const Usage after = *store.usage();
  EXPECT_LT(after.blob_bytes + after.snapshot_bytes, total);
}

TEST_F(GcTest, ReachesItsCapByDroppingSnapshotsOfNamedImages) {
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  const Usage before = *store.usage();
  ASSERT_TRUE(store.gc({.max_size = before.blob_bytes}, Cancel()));
  const Usage after = *store.usage();
  EXPECT_EQ(after.blob_bytes, before.blob_bytes);
  EXPECT_EQ(after.snapshot_bytes, 0);
  EXPECT_TRUE(testing::verify_seed(store, 1));
  ASSERT_TRUE(testing::build_seed(store, 1));
  EXPECT_EQ(store.usage()->snapshot_count, 2);
}

TEST_F(GcTest, TakesBytesWithoutARow) {
  Store store = open();
  const std::string whole = blob_path(oci::Digest::of("garbage"));
  ASSERT_TRUE(sys::replace_file(whole, "garbage", 0444));
  ASSERT_TRUE(sys::make_directories(root + "/snapshots/" + oci::Digest::of("x").hex() + "/fs/usr/lib", 0755));
  EXPECT_TRUE(problems(store).empty());  // garbage is no finding
  EXPECT_EQ(store.gc({}, Cancel())->freed_bytes, 7);
  EXPECT_FALSE(exists(whole));
  EXPECT_TRUE(list(root + "/snapshots").empty());
}

TEST_F(GcTest, BetweenPullAndFirstUseNothingGetsLost) {
  const sys::TempDir fast = *sys::TempDir::make(testing::fast_directory(), "slipway-store-test-");
  root = fast.path() + "/root";
  Store puller = open();
  Store collector = open();
  std::vector<std::vector<std::string>> tars;
  for (std::uint64_t seed = 0; seed < 3; ++seed) tars.push_back(*testing::seed_tars(seed));
  std::atomic<bool> done = false;
  std::jthread collecting([&] {
    while (!done) ASSERT_TRUE(collector.gc({.max_size = 0, .all = true}, Cancel()));
  });
  const auto stop = std::unique_ptr<void, std::function<void(void*)>>(&done, [&](void*) { done = true; });
  for (std::uint64_t i = 0; i < rounds(1000) && !HasFailure(); ++i) {
    {
      const Lease lease = *puller.lease("pull");
      const auto pulled = testing::store_image(puller, lease, tars[i % 3]);
      ASSERT_TRUE(pulled) << pulled.error().message();
      for (const auto& layer : pulled->layers) EXPECT_TRUE(*puller.acquire_snapshot(lease, layer.snapshot.chain));
      ASSERT_TRUE(puller.set_name(kScope, testing::seed_name(7), pulled->manifest, oci::media_type::kOciManifest,
                                  Durable::kNo));
    }
    const Lease use = *puller.lease("use");
    const auto name = *puller.acquire_name(use, kScope, testing::seed_name(7));
    ASSERT_TRUE(name);
    const auto manifest = *oci::Manifest::parse(*puller.read_blob(name->target, 1 << 20), name->media_type);
    for (const auto& layer : manifest.layers()) EXPECT_TRUE(puller.open_blob(layer.digest));
    EXPECT_TRUE(*puller.remove_name(kScope, testing::seed_name(7), Durable::kNo));
  }
  done = true;
  collecting.join();
  EXPECT_TRUE(problems(puller).empty());
}

// --- limits

TEST_F(LimitTest, IsHeldBeforeWritingAndMadeRoomForByGc) {
  Store store = open(100'000);
  const Lease lease = *store.lease("test");
  {
    const Lease other = *store.lease("other");
    ASSERT_TRUE(store.put_blob(other, std::string(60'000, 'a')));
  }
  ASSERT_TRUE(store.put_blob(lease, std::string(60'000, 'b')));  // the first one goes
  EXPECT_FALSE(*store.acquire_blob(lease, oci::Digest::of(std::string(60'000, 'a'))));
  const auto refused = store.put_blob(lease, std::string(60'000, 'c'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kResourceExhausted);
  EXPECT_NE(refused.error().what().find("is limited to 100kB and holds 60kB"), std::string::npos)
      << refused.error().what();
  EXPECT_NE(refused.error().what().find("`slipway gc`"), std::string::npos);
  BlobWriter writer = *store.write_blob(lease);
  ASSERT_TRUE(writer.write(std::string(30'000, 'd')));
  EXPECT_EQ(writer.write(std::string(30'000, 'd')).error().code(), Code::kResourceExhausted);
  EXPECT_FALSE(writer.commit({}));
  EXPECT_TRUE(store.put_blob(lease, std::string(30'000, 'e')));  // an abandoned writer gives its room back
}

TEST_F(LimitTest, CountsSnapshotsToo) {
  Store store = open(10'000);
  const Lease lease = *store.lease("test");
  SnapshotDraft draft = *store.draft_snapshot(lease);
  EXPECT_EQ(draft.reserve(20'000).error().code(), Code::kResourceExhausted);
  ASSERT_TRUE(draft.reserve(5'000));
  const oci::DiffId diff{oci::Digest::of("x")};
  EXPECT_EQ(draft.commit({.parent = {}, .diff = diff, .tree_bytes = 20'000}).error().code(), Code::kResourceExhausted);
  ASSERT_TRUE(draft.commit({.parent = {}, .diff = diff, .tree_bytes = 8'000}));
  EXPECT_FALSE(store.put_blob(lease, std::string(3'000, 'a')));
  EXPECT_TRUE(store.put_blob(lease, std::string(2'000, 'a')));
}

// --- fsck

TEST_F(FsckTest, NamesEveryBrokenBlobAndRepairDropsOnlyThose) {
  Store store = open();
  for (std::uint64_t seed = 1; seed <= 4; ++seed) ASSERT_TRUE(testing::build_seed(store, seed));
  EXPECT_TRUE(problems(store).empty());
  std::vector<StoredImage> images;
  {
    const Lease lease = *store.lease("test");
    for (std::uint64_t seed = 1; seed <= 4; ++seed) images.push_back(image(store, lease, seed));
  }
  overwrite(blob_path(images[0].config), 3, "\xff");
  ASSERT_EQ(::truncate(blob_path(images[1].layers[1].descriptor.digest).c_str(), 100), 0);
  ASSERT_EQ(::unlink(blob_path(images[2].manifest).c_str()), 0);
  ASSERT_TRUE(sys::replace_file(root + "/blobs/sha256/foreign", "x", 0644));
  ASSERT_TRUE(sys::replace_file(blob_path(oci::Digest::of("another")), "not that", 0644));
  const auto found = problems(store);
  const auto has = [&](const std::string& text) {
    return std::ranges::any_of(found, [&](const auto& line) { return line.find(text) != std::string::npos; });
  };
  EXPECT_TRUE(has("blob " + images[0].config.text() + " has other bytes"));
  EXPECT_TRUE(has("blob " + images[1].layers[1].descriptor.digest.text() + " is 100 bytes, should be"));
  EXPECT_TRUE(has("blob " + images[2].manifest.text() + " is missing"));
  EXPECT_TRUE(has("file blobs/sha256/foreign is foreign"));
  EXPECT_TRUE(has("blob " + oci::Digest::of("another").text() + " has other bytes, and no row"));
  EXPECT_TRUE(has("name docker.io/library/seed-1:1 needs " + images[0].config.text()));
  EXPECT_EQ(found.size(), 8U) << ::testing::PrintToString(found);
  EXPECT_EQ(problems(store), found);  // looking changes nothing
  EXPECT_EQ(problems(store, true), found);
  EXPECT_TRUE(problems(store).empty());
  EXPECT_TRUE(testing::verify_seed(store, 4));
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_EQ(testing::verify_seed(store, seed).error().code(), Code::kNotFound);
    EXPECT_TRUE(testing::build_seed(store, seed));  // a rebuild heals
    EXPECT_TRUE(testing::verify_seed(store, seed));
  }
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(FsckTest, FindsWhatChangedInATree) {
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  std::string tree;
  oci::ChainId chain{oci::Digest::of("")};
  {
    const Lease lease = *store.lease("test");
    const StoredImage stored = image(store, lease, 1);
    chain = stored.layers[1].snapshot.chain;
    tree = stored.layers[1].snapshot.directory;
  }
  const auto timespecs = [&](const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return std::array{info.st_atim, info.st_mtim};
  };
  // One byte, with the same size and time.
  const auto times = timespecs(tree + "/own.txt");
  const sys::Fd file = *sys::open(tree + "/own.txt", O_RDWR);
  ASSERT_TRUE(sys::write_all_at(file.get(), "\x01", 4000));
  ASSERT_EQ(::futimens(file.get(), times.data()), 0);
  auto found = problems(store);
  ASSERT_EQ(found.size(), 1U) << ::testing::PrintToString(found);
  EXPECT_EQ(found[0], "snapshot " + chain.digest.text() + " \"own.txt\" has other bytes");
  ASSERT_TRUE(sys::replace_file(tree + "/foreign", "x", 0644));
  ASSERT_EQ(::unlink((tree + "/empty").c_str()), 0);
  found = problems(store, true);
  EXPECT_EQ(found.size(), 3U) << ::testing::PrintToString(found);
  EXPECT_TRUE(problems(store).empty());
  const Lease lease = *store.lease("test");
  EXPECT_FALSE(*store.acquire_snapshot(lease, chain));
  EXPECT_FALSE(*store.acquire_record(lease, kScope, testing::seed_key(1)));
  ASSERT_TRUE(testing::build_seed(store, 1));
  EXPECT_TRUE(*store.acquire_record(lease, kScope, testing::seed_key(1)));
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(FsckTest, ChecksATreeWrittenHereWithoutItsBlob) {
  Store store = open();
  const Lease lease = *store.lease("test");
  SnapshotDraft draft = *store.draft_snapshot(lease);
  ASSERT_TRUE(sys::replace_file(draft.fs() + "/file", "content", 0644));
  const sys::Fd fs = *sys::open(draft.fs(), O_RDONLY | O_DIRECTORY);
  const auto written =
      *layer::write_changes(fs.get(), {}, [](std::string_view) -> Status { return {}; }, {}, Cancel());
  const Snapshot snapshot =
      *draft.commit({.parent = {}, .diff = written.diff_id, .tree_bytes = 7, .written_here = true});
  EXPECT_TRUE(problems(store).empty());
  ASSERT_EQ(::chmod((snapshot.directory + "/file").c_str(), 0755), 0);
  EXPECT_EQ(problems(store).size(), 1U);
}

TEST_F(FsckTest, AMissingTreeIsAFinding) {
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  for (const auto& name : list(root + "/snapshots")) {
    ASSERT_TRUE(sys::remove_tree(AT_FDCWD, root + "/snapshots/" + name));
    break;
  }
  EXPECT_EQ(problems(store).size(), 1U);
  EXPECT_EQ(problems(store, true).size(), 1U);
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(FsckTest, ABrokenPageOfTheDatabaseIsFoundAndRepaired) {
  {
    Store store = open();
    for (std::uint64_t seed = 1; seed <= 20; ++seed) ASSERT_TRUE(testing::build_seed(store, seed));
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  struct stat info{};
  ASSERT_EQ(::stat((root + "/meta.db").c_str(), &info), 0);
  for (std::int64_t page = 1; page < info.st_size / 4096; ++page) overwrite(root + "/meta.db", page * 4096 + 2, "\xff\xff\xff");
  Store store = open();
  const auto found = problems(store);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].find("meta.db is broken"), 0U) << found[0];
  EXPECT_FALSE(problems(store, true).empty());
  EXPECT_TRUE(problems(store).empty());
  EXPECT_EQ(store.usage()->blob_count, 20 * 3 + 4);
  EXPECT_EQ(store.list_names(kScope)->size(), 20U);  // dangling, or saved
}

// --- the root

TEST_F(RootTest, IsMadeForItsOwnerOnly) {
  const Store store = open();
  struct stat info{};
  ASSERT_EQ(::stat(root.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
  ASSERT_EQ(::chmod(root.c_str(), 0755), 0);
  const Store again = open();
  ASSERT_EQ(::stat(root.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
}

TEST_F(RootTest, IsNotMadeUnlessAsked) {
  EXPECT_EQ(Store::open(root, {.create = false}).error().code(), Code::kNotFound);
  EXPECT_FALSE(exists(root));
}

TEST_F(RootTest, RefusesAnotherOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a directory away needs root";
  { const Store store = open(); }
  ASSERT_EQ(::chown(root.c_str(), 12345, 12345), 0);
  const auto refused = Store::open(root, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kPermissionDenied);
  EXPECT_NE(refused.error().what().find("belongs to uid 12345"), std::string::npos);
}

TEST_F(RootTest, RefusesALinkAndOtherPeoplesFiles) {
  { const Store store = open(); }
  ASSERT_EQ(::symlink(root.c_str(), (dir.path() + "/link").c_str()), 0);
  EXPECT_EQ(Store::open(dir.path() + "/link", {}).error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(Store::open(dir.path() + "/link/", {}).error().code(), Code::kFailedPrecondition);
  ASSERT_EQ(::mkdir((dir.path() + "/home").c_str(), 0700), 0);
  ASSERT_TRUE(sys::replace_file(dir.path() + "/home/thesis.txt", "x", 0600));
  EXPECT_EQ(Store::open(dir.path() + "/home", {}).error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(list(dir.path() + "/home").size(), 1U);
}

TEST_F(RootTest, RefusesANewerSchemaByName) {
  {
    const Store store = open();
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("PRAGMA user_version=99"));
  }
  const auto refused = Store::open(root, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.error().what().find("written by a newer slipway (schema 99"), std::string::npos);
  EXPECT_EQ(list(root + "/blobs/sha256").size(), 0U);
}

struct LostDatabase {
  const char* name;
  std::function<void(const std::string& path)> lose;
};
struct LostDatabaseTest : StoreTest, ::testing::WithParamInterface<LostDatabase> {};

TEST_P(LostDatabaseTest, IsRebuiltFromTheBlobs) {
  std::optional<StoredImage> stored;
  {
    Store store = open();
    ASSERT_TRUE(testing::build_seed(store, 1));
    const Lease lease = *store.lease("test");
    stored = image(store, lease, 1);
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  GetParam().lose(root + "/meta.db");
  Store store = open();
  EXPECT_TRUE(problems(store).empty());
  EXPECT_TRUE(store.read_blob(stored->config, 1 << 20));
  // The name is lost, the image is not: gc leaves it alone.
  const auto names = *store.list_names(kScope);
  ASSERT_EQ(names.size(), 1U);
  EXPECT_EQ(names[0].target, stored->manifest);
  ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
  EXPECT_EQ(store.usage()->blob_count, 4);
  ASSERT_TRUE(testing::build_seed(store, 1));
  EXPECT_TRUE(testing::verify_seed(store, 1));
  EXPECT_TRUE(problems(store).empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, LostDatabaseTest,
    ::testing::Values(LostDatabase{"Removed", [](const std::string& path) { ASSERT_EQ(::unlink(path.c_str()), 0); }},
                      LostDatabase{"Emptied", [](const std::string& path) { ASSERT_EQ(::truncate(path.c_str(), 0), 0); }},
                      LostDatabase{"Garbled",
                                   [](const std::string& path) {
                                     ASSERT_TRUE(sys::replace_file(path, std::string(40960, 'g'), 0600));
                                   }},
                      LostDatabase{"Shortened",
                                   [](const std::string& path) { ASSERT_EQ(::truncate(path.c_str(), 3000), 0); }}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(RootTest, AProcessThatStillHasTheLostDatabaseIsStopped) {
  Store old = open();
  const Lease lease = *old.lease("test");
  ASSERT_TRUE(old.put_blob(lease, "bytes"));
  ASSERT_EQ(::unlink((root + "/meta.db").c_str()), 0);
  Store fresh = open();
  EXPECT_EQ(old.put_blob(lease, "more").error().code(), Code::kAborted);
  EXPECT_TRUE(fresh.open_blob(oci::Digest::of("bytes")));
  EXPECT_TRUE(problems(fresh).empty());
}

}  // namespace
}  // namespace slipway::store
