#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "base/text.hpp"
#include "store/test_store.hpp"

namespace slipway::store {
namespace {

using GcTest = StoreTest;
using LimitTest = StoreTest;

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
    ASSERT_TRUE(
        db.execute("UPDATE records SET last_used = CASE value WHEN CAST('record 1' AS BLOB) THEN 30 WHEN "
                   "CAST('record 2' AS BLOB) THEN 10 ELSE 20 END"));
  }
  ASSERT_TRUE(store.gc({}, Cancel()));
  const Usage usage = *store.usage();
  ASSERT_EQ(usage.record_count, 3);
  const std::int64_t total = usage.blob_bytes + usage.snapshot_bytes + usage.meta_bytes;
  ASSERT_TRUE(store.gc({.max_size = total - 1}, Cancel()));
  const Lease lease = *store.lease("test");
  EXPECT_FALSE(*store.acquire_record(lease, kScope, testing::seed_key(2)));
  EXPECT_TRUE(*store.acquire_record(lease, kScope, testing::seed_key(3)));
  EXPECT_TRUE(*store.acquire_record(lease, kScope, testing::seed_key(1)));
  const Usage after = *store.usage();
  EXPECT_LT(after.blob_bytes + after.snapshot_bytes + after.meta_bytes, total);
}

TEST_F(GcTest, ReachesItsCapByDroppingSnapshotsOfNamedImages) {
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  const Usage before = *store.usage();
  ASSERT_TRUE(store.gc({.max_size = before.blob_bytes + before.meta_bytes}, Cancel()));
  const Usage after = *store.usage();
  EXPECT_EQ(after.blob_bytes, before.blob_bytes);
  EXPECT_EQ(after.snapshot_bytes, 0);
  EXPECT_TRUE(testing::verify_seed(store, 1));
  ASSERT_TRUE(testing::build_seed(store, 1));
  EXPECT_EQ(store.usage()->snapshot_count, 2);
}

TEST_F(GcTest, RecordsThatBeginAlikeShareTheirParts) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const std::int64_t before = store.usage()->meta_bytes;
  Record record{.key = oci::Digest::of("0"), .scope = "s", .value = "v", .parts = {}};
  for (int step = 1; step <= 400; ++step) {
    record.key = oci::Digest::of(std::to_string(step));
    record.parts.push_back({.value = std::string(300, 'x') + std::to_string(step), .snapshot = {}, .blob = {}});
    ASSERT_TRUE(store.put_record(record));
  }
  EXPECT_LT(store.usage()->meta_bytes - before, 400 * 1024);
  const auto found = *store.acquire_record(lease, "s", record.key);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->parts.size(), 400U);
  EXPECT_EQ(found->parts[7].value, record.parts[7].value);
}

TEST_F(GcTest, RecordsCountAndAreGivenBackToTheDisk) {
  const auto size = [&] { return std::filesystem::file_size(root + "/meta.db"); };
  {
    Store store = open();
    for (int step = 1; step <= 400; ++step) {
      const Record record{.key = oci::Digest::of(std::to_string(step)),
                          .scope = "s",
                          .value = "v",
                          .parts = {{.value = std::string(10'000, 'x') + std::to_string(step)}}};
      ASSERT_TRUE(store.put_record(record));
    }
    const Usage usage = *store.usage();
    EXPECT_GT(usage.meta_bytes, 4'000'000);
    EXPECT_GT(usage.reclaimable_bytes, 4'000'000);
    ASSERT_TRUE(store.gc({.max_size = 2'000'000}, Cancel()));
    EXPECT_LE(store.usage()->meta_bytes, 2'000'000);
    EXPECT_GT(store.usage()->record_count, 50);
    EXPECT_TRUE(problems(store).empty());
  }
  EXPECT_LE(size(), 2'000'000U);
}

TEST_F(GcTest, ARootOfBeforeGetsSmallerToo) {
  {
    Store store = open();
    for (int fact = 0; fact < 400; ++fact)
      ASSERT_TRUE(store.remember("sum", std::to_string(fact), std::string(10'000, 'x')));
  }
  {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("PRAGMA auto_vacuum=NONE; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"));
    ASSERT_EQ(**db.number("PRAGMA auto_vacuum"), 0);
  }
  EXPECT_GT(std::filesystem::file_size(root + "/meta.db"), 4'000'000U);
  {
    Store store = open();
    ASSERT_TRUE(store.gc({.max_size = 1'000'000}, Cancel()));  // sums of files go before anything else
  }
  EXPECT_LT(std::filesystem::file_size(root + "/meta.db"), 1'000'000U);
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

TEST_F(GcTest, TakesTheDraftsOfDeadLeasesOnly) {
  Store store = open();
  std::optional<Lease> lease = *store.lease("test");
  std::optional<SnapshotDraft> draft = *store.draft_snapshot(*lease);
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_TRUE(exists(draft->fs()));
  // As after kill -9 of its process: the lease is gone, the draft is not.
  ASSERT_TRUE(sys::make_directories(root + "/snapshots/0123456789abcdef-7/fs/usr", 0755));
  EXPECT_TRUE(problems(store).empty());
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_EQ(list(root + "/snapshots").size(), 1U);
  draft.reset();
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
  const std::int64_t meta = open().usage()->meta_bytes;
  Store store = open(meta + 100'000);
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
  const std::string says =
      fmt::format("is limited to {} and holds {}", human_size(meta + 100'000), human_size(meta + 60'000));
  EXPECT_NE(refused.error().what().find(says), std::string::npos) << refused.error().what();
  EXPECT_NE(refused.error().what().find("`slipway gc`"), std::string::npos);
  BlobWriter writer = *store.write_blob(lease);
  ASSERT_TRUE(writer.write(std::string(30'000, 'd')));
  EXPECT_EQ(writer.write(std::string(30'000, 'd')).error().code(), Code::kResourceExhausted);
  EXPECT_FALSE(writer.commit({}));
  EXPECT_TRUE(store.put_blob(lease, std::string(30'000, 'e')));  // an abandoned writer gives its room back
}

TEST_F(LimitTest, CountsSnapshotsToo) {
  Store store = open(open().usage()->meta_bytes + 10'000);
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

}  // namespace
}  // namespace slipway::store
