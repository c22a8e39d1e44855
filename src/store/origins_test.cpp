#include "store/origins.hpp"

#include "store/schema.hpp"
#include "store/test_store.hpp"

namespace slipway::store {
namespace {

struct OriginsTest : StoreTest {
  std::int64_t count(const std::string& table) const {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kReadOnly);
    return table == "origins" ? **db.number("SELECT count(*) FROM origins")
                              : **db.number("SELECT count(*) FROM origin_links");
  }
  const Origin app{"registry.example:5000", "team/app"};
  const Origin base{"registry.example:5000", "library/base"};
};

TEST_F(OriginsTest, ABlobIsKnownOfThoseThatWereNoted) {
  Store store = open();
  const Origins origins(store);
  const Lease lease = *store.lease("test");
  const oci::Digest blob = store.put_blob(lease, "bytes")->digest;
  EXPECT_FALSE(*origins.has(app, blob));
  ASSERT_TRUE(origins.note(app, blob));
  ASSERT_TRUE(origins.note(app, blob));  // again: nothing to do
  EXPECT_TRUE(*origins.has(app, blob));
  EXPECT_FALSE(*origins.has(base, blob));
  EXPECT_FALSE(*origins.has({"registry.example", app.repository}, blob)) << "another port";
  EXPECT_EQ(*origins.repository_with(base.registry, blob), "team/app");
  EXPECT_FALSE(*origins.repository_with("other.example", blob));
  EXPECT_FALSE(*origins.has(Origin::image(blob), blob));
  ASSERT_TRUE(origins.forget(app, blob));
  EXPECT_FALSE(*origins.has(app, blob));
}

TEST_F(OriginsTest, WhatIsNotHereIsNotNoted) {
  Store store = open();
  const Origins origins(store);
  const oci::Digest nowhere = oci::Digest::of("never seen");
  ASSERT_TRUE(origins.note(app, nowhere));
  const Lease lease = *store.lease("test");
  ASSERT_TRUE(store.put_blob(lease, "never seen"));
  EXPECT_FALSE(*origins.has(app, nowhere));
}

TEST_F(OriginsTest, RowsGoWithTheirBlobAndWithTheirImage) {
  Store store = open();
  const Origins origins(store);
  oci::Digest kept = oci::Digest::of(""), gone = kept, document = kept;
  {
    const Lease lease = *store.lease("test");
    const StoredImage named = image(store, lease, 1);
    ASSERT_TRUE(
        store.set_name(kScope, testing::seed_name(1), named.manifest, oci::media_type::kOciManifest, Durable::kNo));
    kept = named.layers[0].descriptor.digest;
    gone = store.put_blob(lease, "gone")->digest;
    document = store.put_blob(lease, "a document")->digest;
    for (const auto& blob : {kept, gone}) ASSERT_TRUE(origins.note(app, blob));
    ASSERT_TRUE(origins.note(base, gone));
    ASSERT_TRUE(origins.note(Origin::image(document), kept));
  }
  ASSERT_TRUE(store.gc({}, Cancel()));
  EXPECT_TRUE(*origins.has(app, kept));
  EXPECT_EQ(count("origin_links"), 1);
  EXPECT_EQ(count("origins"), 1);
  // The bytes come back; that somebody had them once is forgotten.
  const Lease lease = *store.lease("test");
  ASSERT_TRUE(store.put_blob(lease, "gone"));
  EXPECT_FALSE(*origins.has(app, gone));
}

TEST_F(OriginsTest, ThoseOfABrokenBlobGoWithIt) {
  Store store = open();
  const Origins origins(store);
  const Lease lease = *store.lease("test");
  const oci::Digest blob = store.put_blob(lease, "bytes")->digest;
  ASSERT_TRUE(origins.note(app, blob));
  overwrite(blob_path(blob), 0, "!");
  EXPECT_EQ(problems(store, true).size(), 1U);
  EXPECT_EQ(count("origin_links"), 0);
  EXPECT_EQ(count("origins"), 0);
}

TEST_F(OriginsTest, ARebuildKeepsWhatItCanRead) {
  oci::Digest layer = oci::Digest::of(""), manifest = layer;
  {
    Store store = open();
    const Lease lease = *store.lease("test");
    const StoredImage named = image(store, lease, 1);
    manifest = named.manifest;
    layer = named.layers[0].descriptor.digest;
    ASSERT_TRUE(store.set_name(kScope, testing::seed_name(1), manifest, oci::media_type::kOciManifest, Durable::kNo));
    ASSERT_TRUE(Origins(store).note(app, layer));
  }
  {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    // An index that lies: SQLite calls the file broken, the tables can be read.
    ASSERT_TRUE(
        db.execute("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX layers_by_diff ON layers"
                   " (blob)' WHERE name = 'layers_by_diff'"));
  }
  Store store = open();
  EXPECT_FALSE(problems(store, true).empty());
  ASSERT_TRUE(store.find_name(kScope, testing::seed_name(1)).value());
  EXPECT_TRUE(*Origins(store).has(app, layer));
  EXPECT_TRUE(*Origins(store).has(Origin::image(manifest), layer)) << "and it is the image's own";
}

TEST_F(OriginsTest, InADatabaseOfSchema5WhatIsHereBelongsToTheImagesThatNameIt) {
  const std::string path = root + ".db";
  std::vector<Migration> old = migrations();
  std::erase_if(old, [](const Migration& step) { return step.to > 5; });
  Connection db = *Connection::open(path, OpenMode::kCreate);
  ASSERT_TRUE(migrate(db, old));
  const oci::Digest manifest = oci::Digest::of("manifest"), layer = oci::Digest::of("layer"),
                    absent = oci::Digest::of("absent");
  for (const auto& blob : {manifest, layer}) ASSERT_TRUE(db.run("INSERT INTO blobs VALUES (?, 7)", {blob}));
  for (const auto& child : {layer, absent}) ASSERT_TRUE(db.run("INSERT INTO refs VALUES (?, 0, ?)", {manifest, child}));
  ASSERT_TRUE(db.run("INSERT INTO refs VALUES (?, 2, ?)", {manifest, layer}));
  ASSERT_TRUE(
      db.execute("INSERT INTO facts VALUES (1, 'served', x'01', x'', 3), (2, 'origin', x'01', x'', 3),"
                 " (3, 'own', x'01', x'', 3), (4, 'sum', x'01', x'', 3)"));
  ASSERT_TRUE(migrate(db));
  EXPECT_EQ(check_schema(db)->version, kSchemaVersion);
  EXPECT_EQ(**db.number("SELECT count(*) FROM origin_links JOIN origins ON origin = id WHERE blob = ? AND registry = ?"
                        " AND repository = ?",
                        {layer, Origin::image(manifest).registry, Origin::image(manifest).repository}),
            1);
  EXPECT_EQ(**db.number("SELECT count(*) FROM origin_links"), 1);
  EXPECT_EQ(**db.number("SELECT count(*) FROM facts"), 1) << "the older notes are of no use any more";
  ASSERT_TRUE(migrate(db));  // again: nothing to do
}

}  // namespace
}  // namespace slipway::store
