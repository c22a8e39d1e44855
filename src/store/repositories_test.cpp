#include "store/repositories.hpp"
#include "store/rebuilt.hpp"

#include "store/schema.hpp"
#include "store/test_store.hpp"
#include "sys/lock.hpp"

namespace slipway::store {
namespace {

struct RepositoriesTest : StoreTest {
  static Blob push(Repositories& repositories, std::string_view repository, std::string_view bytes) {
    Upload upload = *repositories.begin_upload(repository);
    EXPECT_TRUE(upload.write(bytes));
    const auto blob = upload.commit({.digest = oci::Digest::of(bytes), .size = std::ssize(bytes)});
    EXPECT_TRUE(blob) << blob.error().message();
    return *blob;
  }
  /// A document with these blobs, linked and tagged.
  static oci::Digest put(Store& store, Repositories& repositories, std::string_view repository, std::string_view bytes,
                         std::vector<oci::Digest> blobs, const std::vector<std::string>& tags,
                         std::optional<oci::Digest> subject = {}) {
    const Lease lease = *store.lease("test");
    const Blob blob = *store.put_blob(lease, bytes);
    const NewManifest manifest{.digest = blob.digest,
                               .media_type = std::string(oci::media_type::kOciManifest),
                               .subject = subject,
                               .blobs = std::move(blobs)};
    const auto missing = repositories.put_manifest(repository, manifest, tags);
    EXPECT_TRUE(missing && missing->empty());
    return blob.digest;
  }
  void sql(const std::string& statements) const {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute(statements));
  }
  [[nodiscard]] std::int64_t number(const std::string& query) const {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    return **db.number(query);
  }
  /// Everything that was linked or uploaded so far is old enough to go.
  void age() const { sql("UPDATE repository_links SET linked = 1; UPDATE uploads SET touched = 1"); }
};
using UploadTest = RepositoriesTest;

TEST_F(RepositoriesTest, ABlobIsServedOnlyWhereItIsLinked) {
  Store store = open();
  Repositories own(store, "");
  Repositories mirror(store, "https://upstream");
  const Lease lease = *store.lease("build");
  const Blob built = *store.put_blob(lease, "a builder's bytes");
  EXPECT_FALSE(*own.find_blob("app", built.digest));
  EXPECT_FALSE(*own.find_blob_anywhere(built.digest));
  const Blob blob = push(own, "app", "pushed");
  EXPECT_EQ((*own.find_blob("app", blob.digest))->size, 6);
  EXPECT_FALSE(*own.find_blob("other", blob.digest));
  EXPECT_FALSE(*mirror.find_blob("app", blob.digest));
  EXPECT_TRUE(*own.find_blob_anywhere(blob.digest));
  EXPECT_FALSE(*mirror.find_blob_anywhere(blob.digest));
  ASSERT_TRUE(own.link_blob("other", blob.digest));
  EXPECT_TRUE(*own.find_blob("other", blob.digest));
  EXPECT_TRUE(*own.remove_blob("app", blob.digest));
  EXPECT_FALSE(*own.find_blob("app", blob.digest));
  EXPECT_FALSE(*own.remove_blob("app", blob.digest));
  EXPECT_EQ(own.link_blob("app", oci::Digest::of("never seen")).error().code(), Code::kNotFound);
}

TEST_F(RepositoriesTest, AManifestNeedsItsBlobsInTheRepository) {
  Store store = open();
  Repositories own(store, "");
  const Lease lease = *store.lease("test");
  const Blob here = push(own, "app", "one");
  const Blob elsewhere = push(own, "other", "two");
  NewManifest manifest{.digest = store.put_blob(lease, "{}")->digest,
                       .media_type = "type",
                       .subject = {},
                       .blobs = {here.digest, elsewhere.digest}};
  EXPECT_EQ(*own.put_manifest("app", manifest, {"1"}), std::vector{elsewhere.digest});
  EXPECT_FALSE(*own.find_tag("app", "1"));
  ASSERT_TRUE(own.link_blob("app", elsewhere.digest));
  EXPECT_TRUE(own.put_manifest("app", manifest, {"1", "2"})->empty());
  EXPECT_EQ((*own.find_tag("app", "2"))->manifest.digest, manifest.digest);
  EXPECT_EQ((*own.find_manifest("app", manifest.digest))->media_type, "type");
  EXPECT_FALSE(*own.find_manifest("app", here.digest));
  EXPECT_TRUE(*own.remove_tag("app", "1"));
  EXPECT_FALSE(*own.remove_tag("app", "1"));
  EXPECT_TRUE(*own.find_manifest("app", manifest.digest));
  EXPECT_TRUE(*own.remove_manifest("app", manifest.digest));
  EXPECT_FALSE(*own.find_tag("app", "2"));
  EXPECT_FALSE(*own.remove_manifest("app", manifest.digest));
}

TEST_F(RepositoriesTest, TagsAndReferrersComeInPages) {
  Store store = open();
  Repositories own(store, "");
  const oci::Digest subject = oci::Digest::of("subject");
  put(store, own, "app", "{\"a\":1}", {}, {"b", "a", "C"}, subject);
  put(store, own, "app", "{\"a\":2}", {}, {}, subject);
  put(store, own, "app", "{\"a\":3}", {}, {}, {});
  EXPECT_EQ(*own.tags("app", "", 10), (std::vector<std::string>{"C", "a", "b"}));
  EXPECT_EQ(*own.tags("app", "C", 1), (std::vector<std::string>{"a"}));
  EXPECT_EQ(*own.list("", 10), (std::vector<std::string>{"app"}));
  const auto first = *own.referrers("app", subject, {}, 1);
  ASSERT_EQ(first.size(), 1U);
  const auto second = *own.referrers("app", subject, first[0].digest, 10);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(first[0].digest, second[0].digest);
  EXPECT_TRUE(own.referrers("other", subject, {}, 10)->empty());
}

TEST_F(RepositoriesTest, GcKeepsWhatRepositoriesHave) {
  Store store = open();
  Repositories own(store, "");
  const Blob layer = push(own, "app", "layer");
  const Blob unnamed = push(own, "app", "not named by a manifest");
  const oci::Digest manifest = put(store, own, "app", "{\"m\":1}", {layer.digest}, {});
  ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
  EXPECT_TRUE(*own.find_blob("app", unnamed.digest));  // its manifest may be on the way
  age();
  ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
  EXPECT_TRUE(*own.find_manifest("app", manifest));  // without a tag, too
  EXPECT_EQ(*store.read_blob(layer.digest, 100), "layer");
  EXPECT_FALSE(*own.find_blob("app", unnamed.digest));
  EXPECT_FALSE(exists(blob_path(unnamed.digest)));
  ASSERT_TRUE(own.remove_manifest("app", manifest));
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_TRUE(list(root + "/blobs/sha256").empty());
  EXPECT_FALSE(*own.exists("app"));
  EXPECT_TRUE(problems(store).empty());
}

/// An image of a mirror, used `used` seconds after the epoch, with a layer of its own.
struct MirroredImage {
  oci::Digest layer, manifest;
};
MirroredImage mirrored(const RepositoriesTest& test, Store& store, Repositories& mirror, const std::string& name,
                       int used) {
  const Blob layer = RepositoriesTest::push(mirror, name, "layer of " + name + std::string(10000, 'x'));
  const oci::Digest manifest =
      RepositoriesTest::put(store, mirror, name, "{\"of\":\"" + name + "\"}", {layer.digest}, {"1"});
  test.sql(
      fmt::format("UPDATE repository_links SET used = {} WHERE repository = (SELECT id FROM repositories WHERE"
                  " name = '{}')",
                  used, name));
  return {layer.digest, manifest};
}

std::int64_t bytes_of(const Store& store) {
  const Usage usage = *store.usage();
  return usage.blob_bytes + usage.snapshot_bytes + usage.cache_bytes + usage.meta_bytes;
}

TEST_F(RepositoriesTest, WhatAMirrorHasGoesWhenThereIsNoRoomTheLeastRecentlyUsedFirst) {
  Store store = open();
  Repositories own(store, "");
  Repositories mirror(store, "https://upstream");
  const Blob pushed_layer = push(own, "app", std::string(10000, 'p'));
  const oci::Digest pushed = put(store, own, "app", "{\"pushed\":1}", {pushed_layer.digest}, {"1"});
  const MirroredImage old = mirrored(*this, store, mirror, "old", 10);
  const MirroredImage older = mirrored(*this, store, mirror, "older", 5);
  const MirroredImage recent = mirrored(*this, store, mirror, "recent", 20);
  const Usage usage = *store.usage();
  EXPECT_EQ(usage.pushed_count, 1);
  EXPECT_EQ(usage.pushed_bytes, 10000 + 12);
  EXPECT_EQ(usage.mirrored_count, 3);
  EXPECT_EQ(usage.pushed_bytes + usage.mirrored_bytes, usage.blob_bytes);
  EXPECT_EQ(usage.only_linked_bytes, usage.blob_bytes);
  EXPECT_EQ(usage.reclaimable_bytes, usage.mirrored_bytes);
  ASSERT_TRUE(store.gc({}, Cancel()));  // without a limit nothing goes
  EXPECT_TRUE(*mirror.find_tag("older", "1"));

  ASSERT_TRUE(mirror.note_use("older", older.manifest));
  EXPECT_EQ(store.gc({.max_size = bytes_of(store) - 1}, Cancel())->removed_mirrored, 1);
  EXPECT_FALSE(*mirror.find_tag("old", "1"));
  EXPECT_FALSE(*mirror.exists("old"));
  EXPECT_FALSE(exists(blob_path(old.layer)));
  EXPECT_TRUE(*mirror.find_tag("older", "1"));
  EXPECT_TRUE(*mirror.find_blob("recent", recent.layer));

  // All but what was used last, then that too; what was pushed stays.
  ASSERT_TRUE(store.gc({.max_size = bytes_of(store) - 10001}, Cancel()));
  EXPECT_TRUE(*mirror.find_tag("older", "1"));
  EXPECT_FALSE(*mirror.find_tag("recent", "1"));
  ASSERT_TRUE(store.gc({.max_size = 1}, Cancel()));
  EXPECT_FALSE(*mirror.find_manifest("older", older.manifest));
  EXPECT_TRUE(*own.find_manifest("app", pushed));
  EXPECT_EQ(*store.read_blob(pushed_layer.digest, 20000), std::string(10000, 'p'));
  EXPECT_EQ(list(root + "/blobs/sha256").size(), 2U);
  EXPECT_TRUE(problems(store).empty());
  mirrored(*this, store, mirror, "old", 30);  // fetched again
  EXPECT_EQ((*mirror.find_tag("old", "1"))->manifest.digest, old.manifest);
  ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
  EXPECT_FALSE(*mirror.find_tag("old", "1"));
}

TEST_F(RepositoriesTest, RecordsAndWhatMirrorsHaveGoInOneOrder) {
  Store store = open();
  Repositories mirror(store, "https://upstream");
  ASSERT_TRUE(testing::build_seed(store, 1));
  ASSERT_TRUE(store.remove_name(kScope, testing::seed_name(1), Durable::kNo));
  ASSERT_TRUE(store.gc({}, Cancel()));
  sql("UPDATE records SET last_used = 10");
  mirrored(*this, store, mirror, "before", 5);
  mirrored(*this, store, mirror, "after", 15);
  ASSERT_TRUE(store.gc({.max_size = bytes_of(store) - 1}, Cancel()));
  EXPECT_FALSE(*mirror.exists("before"));
  EXPECT_EQ(store.usage()->record_count, 1);
  ASSERT_TRUE(store.gc({.max_size = bytes_of(store) - 1}, Cancel()));
  EXPECT_EQ(store.usage()->record_count, 0);
  EXPECT_TRUE(*mirror.exists("after"));
}

TEST_F(RepositoriesTest, WhatIsUsedOrSentStays) {
  Store store = open();
  Repositories mirror(store, "https://upstream");
  const MirroredImage image = mirrored(*this, store, mirror, "app", 10);
  {
    const Lease lease = *store.lease("pull");
    ASSERT_TRUE(*store.acquire_blob(lease, image.manifest));
    ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
    EXPECT_TRUE(*mirror.find_tag("app", "1"));
    EXPECT_TRUE(exists(blob_path(image.layer)));  // the manifest needs it
  }
  {
    const sys::Fd sent = *store.open_blob(image.layer);
    ASSERT_TRUE(sys::share_lock(sent.get()));
    ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
    EXPECT_FALSE(*mirror.find_tag("app", "1"));
    EXPECT_TRUE(*mirror.find_blob("app", image.layer));
    EXPECT_TRUE(store.open_blob(image.layer));
  }
  ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
  EXPECT_FALSE(*mirror.exists("app"));
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(RepositoriesTest, AnImageOfTheStoreKeepsWhatAMirrorHasOfIt) {
  Store store = open();
  Repositories mirror(store, "docker.io");
  ASSERT_TRUE(testing::build_seed(store, 1));
  const auto layer = oci::Digest::of(*testing::gzip((*testing::seed_tars(1))[0]));
  ASSERT_TRUE(mirror.link_blob("library/app", layer));
  EXPECT_EQ(store.usage()->only_linked_bytes, 0);
  ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
  EXPECT_TRUE(*mirror.find_blob("library/app", layer));
  EXPECT_TRUE(testing::verify_seed(store, 1));
}

TEST_F(RepositoriesTest, AStaleLinkGoesThoughABuilderHasTheBlob) {
  Store store = open();
  Repositories own(store, "");
  ASSERT_TRUE(testing::build_seed(store, 1));
  const auto layer = oci::Digest::of(*testing::gzip((*testing::seed_tars(1))[0]));
  ASSERT_TRUE(own.link_blob("app", layer));
  age();
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_FALSE(*own.find_blob("app", layer));
  EXPECT_TRUE(testing::verify_seed(store, 1));
}

TEST_F(RepositoriesTest, FsckNamesWhatARepositoryHasLost) {
  Store store = open();
  Repositories own(store, "");
  const Blob layer = push(own, "app", "layer");
  put(store, own, "app", "{\"m\":1}", {layer.digest}, {"1"});
  EXPECT_TRUE(problems(store).empty());
  overwrite(blob_path(layer.digest), 0, "L");
  const auto found = problems(store, true);
  EXPECT_EQ(found.size(), 3U);  // the blob, its link, the manifest
  EXPECT_NE(std::ranges::find_if(found, [](const std::string& one) { return one.starts_with("repository app needs"); }),
            found.end());
  EXPECT_TRUE(problems(store).empty());
  EXPECT_FALSE(*own.find_tag("app", "1"));
  push(own, "app", "layer");
  put(store, own, "app", "{\"m\":1}", {layer.digest}, {"1"});
  EXPECT_TRUE(*own.find_tag("app", "1"));
}

/// An image in a mirror's repository, as bytes that parse.
oci::Digest push_image(Store& store, Repositories& repositories) {
  const std::string config =
      "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
  const Blob blob = RepositoriesTest::push(repositories, "app", config);
  const oci::Manifest document = oci::Manifest::make(
      oci::Family::kOci,
      {.media_type = std::string(oci::media_type::kOciConfig), .digest = blob.digest, .size = blob.size}, {});
  return RepositoriesTest::put(store, repositories, "app", document.raw(), {blob.digest}, {"1"}, blob.digest);
}

TEST_F(RepositoriesTest, ARebuildSavesWhatCanBeRead) {
  Store store = open();
  Repositories mirror(store, "https://upstream");
  ASSERT_TRUE(testing::build_seed(store, 1));
  const oci::Digest manifest = push_image(store, mirror);
  push(mirror, "app", "not named by a manifest");
  // An index that lies: SQLite calls the file broken, the tables can be read.
  sql("PRAGMA writable_schema=ON;"
      "UPDATE sqlite_schema SET sql = 'CREATE INDEX layers_by_diff ON layers (blob)' WHERE name = 'layers_by_diff'");
  Store again = open();
  EXPECT_FALSE(problems(again, true).empty());
  EXPECT_TRUE(problems(again).empty());
  Repositories saved(again, "https://upstream");
  EXPECT_EQ((*saved.find_tag("app", "1"))->manifest.digest, manifest);
  const auto config = oci::Manifest::parse(*again.read_blob(manifest, 1 << 20), "")->config().digest;
  EXPECT_EQ(saved.referrers("app", config, {}, 10)->size(), 1U);
  EXPECT_EQ(again.list_names(kScope)->size(), 1U);  // the seed's; a repository's image is not dangling
  ASSERT_TRUE(again.gc({}, Cancel()));
  EXPECT_TRUE(again.open_blob(config));
}

TEST_F(RepositoriesTest, WithoutADatabaseTheirImagesAreDangling) {
  oci::Digest manifest = oci::Digest::of("");
  {
    Store store = open();
    Repositories own(store, "");
    manifest = push_image(store, own);
  }
  for (const char* suffix : {"", "-wal", "-shm"}) ASSERT_TRUE(sys::unlink_at(AT_FDCWD, root + "/meta.db" + suffix));
  Store store = open();
  EXPECT_EQ(store.list_names(kScope)->size(), 1U);
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_TRUE(store.open_blob(manifest));
}

TEST_F(RepositoriesTest, ARebuildKeepsDocumentsADay) {
  std::vector<oci::Digest> all;
  {
    Store store = open();
    Repositories own(store, "");
    const Blob layer = push(own, "cache", "a layer"), config = push(own, "cache", "[]");
    const auto entry = [](const Blob& blob, std::string_view type) {
      return oci::Descriptor{.media_type = std::string(type), .digest = blob.digest, .size = blob.size};
    };
    const auto index = oci::Index::make(oci::Family::kOci, {entry(layer, oci::media_type::kOciLayerGzip),
                                                            entry(config, "application/vnd.buildkit.cacheconfig.v0")});
    all = {layer.digest, config.digest};
    all.push_back(RepositoriesTest::put(store, own, "cache", index.raw(), all, {"1"}, {}));
  }
  for (const char* suffix : {"", "-wal", "-shm"}) ASSERT_TRUE(sys::unlink_at(AT_FDCWD, root + "/meta.db" + suffix));
  EXPECT_TRUE(set_aside_databases(root).empty());
  Store store = open();
  EXPECT_EQ(set_aside_databases(root).size(), 1U) << "it was lost: an empty file says so";
  ASSERT_TRUE(store.gc({.all = true}, Cancel()));
  ASSERT_TRUE(store.gc({}, Cancel()));
  for (const auto& digest : all) EXPECT_TRUE(store.open_blob(digest)) << digest.text();
  sql("UPDATE facts SET noted = noted - 86400");
  ASSERT_TRUE(store.gc({}, Cancel()));
  for (const auto& digest : all) EXPECT_FALSE(store.open_blob(digest)) << digest.text();
}

TEST_F(RepositoriesTest, AnIndexOfBlobsIsSavedWithWhatItNames) {
  Store store = open();
  Repositories own(store, "");
  ASSERT_TRUE(testing::build_seed(store, 1));
  const Blob layer = push(own, "cache", "a layer");
  const auto index = oci::Index::make(
      oci::Family::kOci,
      {{.media_type = std::string(oci::media_type::kOciLayerGzip), .digest = layer.digest, .size = layer.size}});
  const NewManifest document{.digest = store.put_blob(*store.lease("test"), index.raw())->digest,
                             .media_type = index.media_type(),
                             .subject = {},
                             .blobs = {layer.digest}};
  ASSERT_TRUE(own.put_manifest("cache", document, {"1"})->empty());
  sql("PRAGMA writable_schema=ON;"
      "UPDATE sqlite_schema SET sql = 'CREATE INDEX layers_by_diff ON layers (blob)' WHERE name = 'layers_by_diff'");
  Store again = open();
  EXPECT_FALSE(problems(again, true).empty());
  sql("DELETE FROM facts; UPDATE repository_links SET linked = linked - 1000000");
  ASSERT_TRUE(again.gc({}, Cancel()));
  EXPECT_TRUE(again.open_blob(layer.digest)) << "the index names it";
}

TEST_F(RepositoriesTest, ADatabaseOfSchema4KeepsAllItHas) {
  const std::string path = root + ".db";
  std::vector<Migration> old = migrations();
  std::erase_if(old, [](const Migration& step) { return step.to > 4; });
  Connection db = *Connection::open(path, OpenMode::kCreate);
  ASSERT_TRUE(migrate(db, old));
  ASSERT_TRUE(db.execute("INSERT INTO blobs VALUES (x'00', 7); INSERT INTO refs VALUES (x'00', 0, x'01')"));
  ASSERT_TRUE(migrate(db));
  EXPECT_EQ(check_schema(db)->state, SchemaState::kCurrent);
  EXPECT_EQ(**db.number("SELECT size FROM blobs"), 7);
  EXPECT_EQ(**db.number("SELECT count(*) FROM refs"), 1);
  EXPECT_EQ(**db.number("SELECT count(*) FROM repository_links"), 0);
}

TEST_F(RepositoriesTest, LinksOfSchema5WereUsedWhenTheyWereMade) {
  const std::string path = root + ".db";
  std::vector<Migration> old = migrations();
  std::erase_if(old, [](const Migration& step) { return step.to > 5; });
  Connection db = *Connection::open(path, OpenMode::kCreate);
  ASSERT_TRUE(migrate(db, old));
  ASSERT_TRUE(
      db.execute("INSERT INTO repositories VALUES (1, 'docker.io', 'app');"
                 "INSERT INTO repository_links VALUES (1, x'00', 1, 'type', NULL, 77)"));
  ASSERT_TRUE(migrate(db));
  EXPECT_EQ(check_schema(db)->state, SchemaState::kCurrent);
  EXPECT_EQ(**db.number("SELECT used FROM repository_links WHERE linked = 77"), 77);
}

TEST_F(UploadTest, GoesOnAfterTheProcess) {
  std::string id;
  {
    Store store = open();
    Repositories own(store, "");
    Upload upload = *own.begin_upload("app");
    id = upload.id();
    ASSERT_TRUE(upload.write("first "));
    EXPECT_EQ(own.open_upload("app", id).error().code(), Code::kAborted);
    EXPECT_EQ(own.open_upload("other", id).error().code(), Code::kNotFound);
  }
  Store store = open();
  Repositories own(store, "");
  for (const char* wrong :
       {"", "../../meta.db", "0123456789abcdef0123456789abcdeF", "0123456789abcdef0123456789abcdef"})
    EXPECT_EQ(own.open_upload("app", wrong).error().code(), Code::kNotFound);
  Upload upload = *own.open_upload("app", id);
  EXPECT_EQ(upload.size(), 6);
  ASSERT_TRUE(upload.write("second"));
  const auto blob = upload.commit({.digest = oci::Digest::of("first second"), .size = {}});
  ASSERT_TRUE(blob) << blob.error().message();
  EXPECT_EQ(*store.read_blob(blob->digest, 100), "first second");
  EXPECT_TRUE(*own.find_blob("app", blob->digest));
  EXPECT_EQ(own.open_upload("app", id).error().code(), Code::kNotFound);
  EXPECT_TRUE(list(root + "/uploads").empty());
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(UploadTest, AnotherProcessGoesOnWithIt) {
  Store store = open();
  Store second = open();
  Repositories here(store, "");
  Repositories there(second, "");
  Upload one = *here.begin_upload("app");
  ASSERT_TRUE(one.write("first "));
  EXPECT_EQ(there.open_upload("app", one.id()).error().code(), Code::kAborted);
  one.rest();
  Upload other = *there.open_upload("app", one.id());
  EXPECT_EQ(other.size(), 6);
  ASSERT_TRUE(other.write("second "));
  EXPECT_EQ(one.resume().error().code(), Code::kAborted);
  other.rest();
  ASSERT_TRUE(one.resume());
  EXPECT_EQ(one.size(), 13);
  ASSERT_TRUE(one.write("third"));
  one.rest();
  ASSERT_TRUE(other.resume());
  const auto blob = other.commit({.digest = oci::Digest::of("first second third"), .size = {}});
  ASSERT_TRUE(blob) << blob.error().message();
  EXPECT_EQ(one.resume().error().code(), Code::kNotFound);
  EXPECT_EQ(*store.read_blob(blob->digest, 100), "first second third");
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(UploadTest, WhatIsBeingFinishedIsWaitedForAsLongAsSomebodyIsAtIt) {
  Store store = open(), second = open();
  Repositories here(store, ""), there(second, "");
  std::string id;
  {
    const Upload upload = *here.begin_upload("app");
    id = upload.id();
    ASSERT_EQ(::unlink((root + "/uploads/" + id).c_str()), 0);  // as by the rename that makes it a blob
    EXPECT_EQ(there.open_upload("other", id).error().code(), Code::kNotFound);
    sql("INSERT INTO lease_needs SELECT id, 0, x'00' FROM leases WHERE purpose = 'upload " + id + "'");
    EXPECT_EQ(there.open_upload("app", id).error().code(), Code::kAborted);
  }
  // Whoever was at it is gone, and was killed before the row was: the claim's lease is not held by anybody.
  sql("INSERT INTO leases VALUES ('dead', 'upload " + id +
      "', 1, 0); INSERT INTO lease_needs VALUES ('dead', 0, x'00')");
  EXPECT_EQ(number("SELECT count(*) FROM uploads"), 1);
  EXPECT_EQ(there.open_upload("app", id).error().code(), Code::kNotFound);
  EXPECT_EQ(number("SELECT count(*) FROM uploads"), 0);
}

TEST_F(UploadTest, DroppedWhoeverHasItOpen) {
  Store store = open(), second = open();
  Repositories here(store, ""), there(second, "");
  Upload upload = *here.begin_upload("app");
  ASSERT_TRUE(upload.write("bytes"));
  EXPECT_FALSE(*there.drop_upload("other", upload.id()));
  EXPECT_FALSE(*there.drop_upload("app", "../../meta.db"));
  EXPECT_TRUE(*there.drop_upload("app", upload.id()));
  EXPECT_FALSE(*there.drop_upload("app", upload.id()));
  EXPECT_TRUE(list(root + "/uploads").empty());
  EXPECT_EQ(upload.commit({}).error().code(), Code::kNotFound);
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(UploadTest, WrongBytesLeaveNothing) {
  Store store = open();
  Repositories own(store, "");
  Upload upload = *own.begin_upload("app");
  ASSERT_TRUE(upload.write("bytes"));
  EXPECT_EQ(upload.commit({.digest = oci::Digest::of("other"), .size = {}}).error().code(), Code::kDataLoss);
  Upload dropped = *own.begin_upload("app");
  ASSERT_TRUE(dropped.drop());
  EXPECT_TRUE(list(root + "/uploads").empty());
  EXPECT_TRUE(list(root + "/blobs/sha256").empty());
  push(own, "app", "bytes");
  push(own, "app", "bytes");  // again: dropped, and linked
  EXPECT_TRUE(list(root + "/uploads").empty());
}

TEST_F(UploadTest, Sha512) {
  Store store = open();
  Repositories own(store, "");
  oci::Hasher hasher(oci::Algorithm::kSha512);
  hasher.update("bytes");
  const oci::Digest digest = hasher.finish();
  Upload upload = *own.begin_upload("app");
  ASSERT_TRUE(upload.write("bytes"));
  ASSERT_TRUE(upload.commit({.digest = digest, .size = 5}));
  EXPECT_TRUE(*own.find_blob("app", digest));
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(UploadTest, GcTakesAbandonedOnesOnly) {
  Store store = open();
  Repositories own(store, "");
  std::string abandoned;
  {
    Upload upload = *own.begin_upload("app");
    abandoned = upload.id();
    ASSERT_TRUE(upload.write("half"));
  }
  Upload open_one = *own.begin_upload("app");
  ASSERT_TRUE(open_one.write("more"));
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_EQ(list(root + "/uploads").size(), 2U);
  age();
  for (const auto& name : list(root + "/uploads")) {
    const timespec old[2] = {{1, 0}, {1, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (root + "/uploads/" + name).c_str(), old, 0), 0);
  }
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_EQ(list(root + "/uploads"), std::vector{open_one.id()});
  EXPECT_EQ(own.open_upload("app", abandoned).error().code(), Code::kNotFound);
  EXPECT_TRUE(open_one.commit({}));
}

TEST_F(UploadTest, TheLimitOfTheStoreCounts) {
  Store store = open(40 << 20);
  Repositories own(store, "");
  Upload upload = *own.begin_upload("app");
  const std::string piece(1 << 20, 'x');
  Status done;
  int pieces = 0;
  while (done && pieces < 100) {
    done = upload.write(piece);
    if (done) ++pieces;
  }
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Code::kResourceExhausted);
  EXPECT_GE(pieces, 38);  // meta.db counts too
  EXPECT_LE(pieces, 40);
  EXPECT_EQ(upload.size(), std::int64_t{pieces} << 20);
  ASSERT_TRUE(upload.drop());
  Upload again = *own.begin_upload("app");
  EXPECT_TRUE(again.write(piece));
}

}  // namespace
}  // namespace slipway::store
