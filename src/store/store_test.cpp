#include "store/store.hpp"

#include <memory>
#include <thread>

#include "store/test_store.hpp"
#include "sys/lock.hpp"

namespace slipway::store {
namespace {

using BlobTest = StoreTest;
using LeaseTest = StoreTest;
using SnapshotTest = StoreTest;
using NameTest = StoreTest;
using RecordTest = StoreTest;

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
  EXPECT_EQ(made.directory, first.fs());  // it did not move
  const std::string superseded = second.directory();
  second = *store.draft_snapshot(lease);
  EXPECT_FALSE(exists(superseded));

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

TEST_F(SnapshotTest, ThoseOfSchema1StayWhereTheyAre) {
  const oci::DiffId diff{oci::Digest::of("layer")};
  const std::string name = oci::ChainId::first(diff).digest.hex();
  {
    Store store = open();
    const Lease lease = *store.lease("test");
    SnapshotDraft draft = *store.draft_snapshot(lease);
    const Snapshot made = *draft.commit({.parent = {}, .diff = diff});
    ASSERT_EQ(::rename(draft.directory().c_str(), (root + "/snapshots/" + name).c_str()), 0);
  }
  {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute(
        "ALTER TABLE snapshots DROP COLUMN directory; ALTER TABLE layers RENAME COLUMN "
        "tree_bytes TO plain_bytes; DROP TABLE cache_layers; DROP TABLE builds; "
        "DROP TABLE build_inputs; DROP TABLE build_needs; DROP TABLE record_parts; "
        "DROP TABLE repositories; DROP TABLE repository_links; DROP TABLE repository_tags; DROP TABLE uploads; "
        "DROP INDEX refs_by_child; DROP TABLE origins; DROP TABLE origin_links; "
        "ALTER TABLE names DROP COLUMN word; "
        "ALTER TABLE records DROP COLUMN top; CREATE TABLE record_needs (record INTEGER); PRAGMA user_version=1;"));
  }
  Store store = open();
  const Lease lease = *store.lease("test");
  const auto found = *store.acquire_snapshot(lease, oci::ChainId::first(diff));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->directory, root + "/snapshots/" + name + "/fs");
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(SnapshotTest, OneTreeMayBeTheSameChangeOverOtherLayers) {
  Store store = open();
  const std::string base_tar = *testing::make_tar({testing::file("base", std::string(1000, 'b'))});
  const std::string link_tar = *testing::make_tar({testing::file("link", std::string(3000, 'l'))});
  oci::ChainId base{oci::Digest::of("")}, link = base, both = base;
  std::string directory;
  {
    const Lease lease = *store.lease("test");
    base = testing::store_layer(store, lease, base_tar, {})->snapshot.chain;
    const Snapshot alone = testing::store_layer(store, lease, link_tar, {})->snapshot;
    link = alone.chain;
    directory = alone.directory;
    EXPECT_FALSE(*store.share_snapshot(lease, link, oci::ChainId{oci::Digest::of("not here")}));
    EXPECT_FALSE(*store.share_snapshot(lease, oci::ChainId{oci::Digest::of("not here")}, base));
    const Snapshot shared = **store.share_snapshot(lease, link, base);
    both = shared.chain;
    EXPECT_EQ(both, base.next(alone.diff));
    EXPECT_EQ(shared.parent, base);
    EXPECT_EQ(shared.directory, directory);
    EXPECT_EQ((*store.share_snapshot(lease, link, base))->chain, both);  // once more is the same
    EXPECT_EQ(store.usage()->snapshot_count, 3);
    EXPECT_EQ(store.usage()->snapshot_bytes, 4000);  // the tree is there once
    Record record{.key = oci::Digest::of("key"),
                  .scope = "s",
                  .value = "",
                  .parts = {{.value = "", .snapshot = both, .blob = {}}}};
    ASSERT_TRUE(store.put_record(record));
  }
  EXPECT_TRUE(problems(store).empty());
  EXPECT_EQ(store.gc({}, Cancel())->removed_snapshots, 1);  // its first name; the tree stays for the other
  const Lease lease = *store.lease("test");
  EXPECT_FALSE(*store.acquire_snapshot(lease, link));
  EXPECT_EQ((*store.acquire_snapshot(lease, both))->directory, directory);
  EXPECT_TRUE(problems(store).empty());
  overwrite(directory + "/link", 0, "!");
  EXPECT_EQ(problems(store, true).size(), 1U);
  EXPECT_FALSE(exists(directory));
  EXPECT_TRUE(problems(store).empty());
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
  EXPECT_EQ(
      store.set_name(kScope, app, oci::Digest::of("x"), oci::media_type::kOciManifest, Durable::kNo).error().code(),
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
    ASSERT_EQ(record->parts.size(), 1U);
    EXPECT_FALSE(*store.acquire_record(lease, "another scope", key));
    ASSERT_TRUE(store.remove_name(kScope, testing::seed_name(1), Durable::kNo));
    ASSERT_TRUE(store.gc({.max_size = 0, .all = true}, Cancel()));
    EXPECT_TRUE(*store.acquire_snapshot(lease, *record->parts[0].snapshot));  // and those below it
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
  Record record{.key = oci::Digest::of("key"),
                .scope = "s",
                .value = "",
                .parts = {{.value = "", .snapshot = oci::ChainId{missing}, .blob = {}}}};
  EXPECT_EQ(store.put_record(record).error().code(), Code::kFailedPrecondition);
  record.parts = {{.value = "", .snapshot = {}, .blob = missing}};
  EXPECT_EQ(store.put_record(record).error().code(), Code::kFailedPrecondition);
  record.parts = {{.value = "", .snapshot = {}, .blob = {}}};
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

}  // namespace
}  // namespace slipway::store
