#include <array>

#include "store/test_store.hpp"

namespace slipway::store {
namespace {

using FsckTest = StoreTest;

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
  ASSERT_TRUE(sys::replace_file(root + "/snapshots/foreign", "x", 0644));
  ASSERT_TRUE(sys::replace_file(blob_path(oci::Digest::of("another")), "not that", 0644));
  const auto found = problems(store);
  const auto has = [&](const std::string& text) {
    return std::ranges::any_of(found, [&](const auto& line) { return line.find(text) != std::string::npos; });
  };
  EXPECT_TRUE(has("blob " + images[0].config.text() + " has other bytes"));
  EXPECT_TRUE(has("blob " + images[1].layers[1].descriptor.digest.text() + " is 100 bytes, should be"));
  EXPECT_TRUE(has("blob " + images[2].manifest.text() + " is missing"));
  EXPECT_TRUE(has("file blobs/sha256/foreign is foreign"));
  EXPECT_TRUE(has("file snapshots/foreign is foreign"));
  EXPECT_TRUE(has("blob " + oci::Digest::of("another").text() + " has other bytes, and no row"));
  EXPECT_TRUE(has("name docker.io/library/seed-1:1 needs " + images[0].config.text()));
  EXPECT_EQ(found.size(), 9U) << ::testing::PrintToString(found);
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
  const auto written = *layer::write_changes(fs.get(), {}, [](std::string_view) -> Status { return {}; }, {}, Cancel());
  const Snapshot snapshot =
      *draft.commit({.parent = {}, .diff = written.diff_id, .tree_bytes = 7, .written_here = true});
  EXPECT_TRUE(problems(store).empty());
  ASSERT_EQ(::chmod((snapshot.directory + "/file").c_str(), 0755), 0);
  EXPECT_EQ(problems(store).size(), 1U);
}

TEST_F(FsckTest, AnImageWhoseConfigTellsOfOtherLayersIsAFinding) {
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  const auto swapped = *oci::Reference::parse("swapped:1"), fewer = *oci::Reference::parse("fewer:1");
  const auto liar = [&](const oci::Reference& name, const auto& change) {
    const Lease lease = *store.lease("test");
    const StoredImage stored = image(store, lease, 1);
    std::vector<oci::Descriptor> layers = {stored.layers[0].descriptor, stored.layers[1].descriptor};
    change(layers);
    const oci::Descriptor config{.media_type = std::string(oci::media_type::kOciConfig),
                                 .digest = stored.config,
                                 .size = store.acquire_blob(lease, stored.config)->value().size};
    const auto manifest = oci::Manifest::make(oci::Family::kOci, config, layers);
    const Blob blob = *store.put_blob(lease, manifest.raw());
    ASSERT_TRUE(store.set_name(kScope, name, blob.digest, oci::media_type::kOciManifest, Durable::kNo));
  };
  liar(swapped, [](auto& layers) { std::swap(layers[0], layers[1]); });
  liar(fewer, [](auto& layers) { layers.pop_back(); });
  const auto found = problems(store, true);
  ASSERT_EQ(found.size(), 2U) << ::testing::PrintToString(found);
  EXPECT_EQ(found[0], "name docker.io/library/fewer:1 has 1 layers, and its config tells of 2");
  EXPECT_EQ(found[1].find("name docker.io/library/swapped:1 has the layer sha256:"), 0U) << found[1];
  EXPECT_TRUE(problems(store).empty());
  EXPECT_FALSE(*store.find_name(kScope, swapped));
  EXPECT_TRUE(testing::verify_seed(store, 1));
}

TEST_F(FsckTest, ARecordThatLostALayerCanBePutAgain) {
  Store store = open();
  const Lease lease = *store.lease("test");
  const Blob bottom = *store.put_blob(lease, "bottom"), middle = *store.put_blob(lease, "middle");
  const Record record{.key = oci::Digest::of("key"),
                      .scope = "s",
                      .value = "v",
                      .parts = {{.value = "1", .snapshot = {}, .blob = bottom.digest},
                                {.value = "2", .snapshot = {}, .blob = middle.digest},
                                {.value = "3", .snapshot = {}, .blob = {}}}};
  ASSERT_TRUE(store.put_record(record));
  ASSERT_EQ(::unlink(blob_path(middle.digest).c_str()), 0);
  EXPECT_EQ(problems(store, true).size(), 1U);
  EXPECT_FALSE(*store.acquire_record(lease, "s", record.key));
  EXPECT_EQ(store.usage()->record_count, 0);
  ASSERT_TRUE(store.put_blob(lease, "middle"));
  ASSERT_TRUE(store.put_record(record));
  const auto again = *store.acquire_record(lease, "s", record.key);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->parts.size(), 3U);
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
  std::vector<std::int64_t> pages;  // of tables and indexes; the schema's own would be noticed at once
  {
    Store store = open();
    for (std::uint64_t seed = 1; seed <= 20; ++seed) ASSERT_TRUE(testing::build_seed(store, seed));
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    Rows rows = *db.query("SELECT rootpage FROM sqlite_schema WHERE rootpage > 1");
    while (*rows.next()) pages.push_back(rows.integer(0));
  }
  {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  for (const std::int64_t page : pages) overwrite(root + "/meta.db", (page - 1) * 4096 + 2, "\xff\xff\xff");
  Store store = open();
  const auto found = problems(store);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].find("meta.db is broken"), 0U) << found[0];
  EXPECT_FALSE(problems(store, true).empty());
  EXPECT_TRUE(problems(store).empty());
  EXPECT_EQ(store.usage()->blob_count, 20 * 3 + 4);
  EXPECT_EQ(store.list_names(kScope)->size(), 20U);  // dangling, or saved
}

}  // namespace
}  // namespace slipway::store
