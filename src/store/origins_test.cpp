#include "store/origins.hpp"

#include <cstdio>

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
  /// Makes all notes older.
  void age(std::int64_t seconds) const {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.run("UPDATE origin_links SET noted = noted - ?", {seconds}));
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
    ASSERT_TRUE(
        store.set_name(kScope, testing::seed_name(1), manifest, oci::media_type::kOciManifest, Durable::kNo, "own"));
    ASSERT_TRUE(Origins(store).note(app, layer));
    ASSERT_TRUE(Origins(store).note(Origin::image(manifest), layer));
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
  EXPECT_EQ(store.find_name(kScope, testing::seed_name(1)).value()->word, "own");
  EXPECT_TRUE(*Origins(store).has(app, layer));
  EXPECT_TRUE(*Origins(store).has(Origin::image(manifest), layer));
}

TEST_F(OriginsTest, WhatARebuildCanNotReadIsNobodys) {
  oci::Digest layer = oci::Digest::of(""), manifest = layer;
  {
    Store store = open();
    const Lease lease = *store.lease("test");
    const StoredImage named = image(store, lease, 1);
    manifest = named.manifest;
    layer = named.layers[0].descriptor.digest;
    ASSERT_TRUE(
        store.set_name(kScope, testing::seed_name(1), manifest, oci::media_type::kOciManifest, Durable::kNo, "own"));
    ASSERT_TRUE(Origins(store).note(Origin::image(manifest), layer));
  }
  for (const char* suffix : {"", "-wal", "-shm"}) std::remove((root + "/meta.db" + suffix).c_str());
  Store store = open();
  ASSERT_EQ(store.list_names(kScope)->size(), 1U) << "a dangling one";
  EXPECT_EQ(store.list_names(kScope)->front().word, "");
  EXPECT_FALSE(*Origins(store).has(Origin::image(manifest), layer));
}

/// What a repository had has to be asked for again after a while.
TEST_F(OriginsTest, NotesOfRepositoriesAge) {
  Store store = open();
  const Origins origins(store);
  const Lease lease = *store.lease("test");
  const oci::Digest blob = store.put_blob(lease, "bytes")->digest, document = store.put_blob(lease, "{}")->digest;
  const Origin own = Origin::image(document), given = Origin::image_of(app, document);
  for (const auto& origin : {app, own, given, Origin::folder("/layout")}) ASSERT_TRUE(origins.note(origin, blob));
  age(Origins::kFresh - 60);
  EXPECT_TRUE(*origins.has(app, blob));
  age(120);
  EXPECT_FALSE(*origins.has(app, blob));
  EXPECT_TRUE(*origins.had(app, blob));
  EXPECT_EQ(*origins.repository_with(app.registry, blob), app.repository) << "a HEAD is enough";
  for (const auto& origin : {own, given, Origin::folder("/layout")}) EXPECT_TRUE(*origins.has(origin, blob));
  ASSERT_TRUE(origins.note(app, blob));
  EXPECT_TRUE(*origins.has(app, blob)) << "renewed";
  age(-3 * Origins::kFresh);
  EXPECT_FALSE(*origins.has(app, blob)) << "noted by a clock that was wrong";
}

TEST_F(OriginsTest, WhatArrivesAnewKeepsWhatIsStillThere) {
  Store store = open();
  const Origins origins(store);
  const Lease lease = *store.lease("test");
  const oci::Digest one = store.put_blob(lease, "one")->digest, two = store.put_blob(lease, "two")->digest,
                    document = store.put_blob(lease, "{}")->digest;
  const Origin given = Origin::image_of(app, document);
  EXPECT_EQ(given.given_by(), "registry.example:5000/team/app");
  ASSERT_TRUE(origins.arrived(app, document));
  for (const auto& blob : {one, two, document}) ASSERT_TRUE(origins.note(given, blob));
  for (const auto& blob : {one, two}) ASSERT_TRUE(origins.note(app, blob));
  ASSERT_TRUE(origins.arrived(app, document));
  for (const auto& blob : {one, two, document}) EXPECT_TRUE(*origins.has(given, blob));
  age(Origins::kFresh + 60);
  ASSERT_TRUE(origins.note(app, two));
  ASSERT_TRUE(origins.arrived(app, document));
  EXPECT_TRUE(*origins.has(app, document));
  EXPECT_FALSE(*origins.has(given, one));
  EXPECT_TRUE(*origins.has(given, two));
  EXPECT_FALSE(*origins.has(given, document)) << "that all of it was proven is as old";
}

TEST_F(OriginsTest, NothingIsKeptOfAnImageWithoutADocument) {
  Store store = open();
  const Origins origins(store);
  const Lease lease = *store.lease("test");
  const oci::Digest blob = store.put_blob(lease, "bytes")->digest;
  ASSERT_TRUE(origins.note(Origin::image_of(app, oci::Digest::of("nowhere")), blob));
  EXPECT_EQ(count("origin_links"), 0);
}

/// Which of its images were made here and which were pulled, an older store can not tell.
TEST_F(OriginsTest, InAnOlderDatabaseNobodysWordIsKnown) {
  const std::string path = root + ".db";
  const auto upto = [](std::int64_t version) {
    std::vector<Migration> steps = migrations();
    std::erase_if(steps, [&](const Migration& step) { return step.to > version; });
    return steps;
  };
  Connection db = *Connection::open(path, OpenMode::kCreate);
  ASSERT_TRUE(migrate(db, upto(5)));
  const oci::Digest manifest = oci::Digest::of("manifest"), layer = oci::Digest::of("layer");
  for (const auto& blob : {manifest, layer}) ASSERT_TRUE(db.run("INSERT INTO blobs VALUES (?, 7)", {blob}));
  ASSERT_TRUE(db.run("INSERT INTO refs VALUES (?, 0, ?)", {manifest, layer}));
  ASSERT_TRUE(db.run("INSERT INTO names VALUES ('default', 'docker.io/library/app:1', ?, '', 3)", {manifest}));
  ASSERT_TRUE(
      db.execute("INSERT INTO facts VALUES (1, 'served', x'01', x'', 3), (2, 'origin', x'01', x'', 3),"
                 " (3, 'own', x'01', x'', 3), (4, 'sum', x'01', x'', 3), (5, 'proven base', x'01', x'', 3)"));
  ASSERT_TRUE(migrate(db, upto(7)));
  EXPECT_EQ(**db.number("SELECT count(*) FROM origin_links"), 0) << "it belongs to nobody";
  ASSERT_TRUE(
      db.run("INSERT INTO origins VALUES (1, '(image)', ?), (2, 'registry.example', 'team/app')", {manifest.text()}));
  ASSERT_TRUE(db.run("INSERT INTO origin_links VALUES (1, ?1), (2, ?1)", {layer}));
  ASSERT_TRUE(migrate(db));
  EXPECT_EQ(check_schema(db)->version, kSchemaVersion);
  EXPECT_EQ(**db.number("SELECT count(*) FROM names WHERE word = ''"), 1);
  EXPECT_EQ(**db.number("SELECT count(*) FROM origin_links WHERE origin = 2 AND noted = 0"), 1) << "good for a HEAD";
  EXPECT_EQ(**db.number("SELECT count(*) FROM origin_links"), 1) << "an image's own may have been a thief's";
  EXPECT_EQ(**db.number("SELECT count(*) FROM facts"), 1) << "the older notes are of no use any more";
  ASSERT_TRUE(migrate(db));  // again: nothing to do
}

}  // namespace
}  // namespace slipway::store
