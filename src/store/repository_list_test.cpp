#include "store/repositories.hpp"
#include "store/test_store.hpp"

namespace slipway::store {
namespace {

struct RepositoryListTest : StoreTest {
  static oci::Digest push(Repositories& repositories, const std::string& bytes) {
    Upload upload = *repositories.begin_upload("app");
    EXPECT_TRUE(upload.write(bytes));
    return upload.commit({})->digest;
  }
  static oci::Digest put(Store& store, Repositories& repositories, const std::string& bytes,
                         std::vector<oci::Digest> blobs, std::vector<oci::Digest> manifests,
                         const std::vector<std::string>& tags) {
    const Lease lease = *store.lease("test");
    const oci::Digest digest = store.put_blob(lease, bytes)->digest;
    const NewManifest manifest{.digest = digest,
                               .media_type = "type",
                               .subject = {},
                               .blobs = std::move(blobs),
                               .manifests = std::move(manifests)};
    EXPECT_TRUE(repositories.put_manifest("app", manifest, tags)->empty());
    return digest;
  }
  /// Removing told what gc frees, and nothing else went.
  static void expect_freed(Store& store, const Removed& removed) {
    EXPECT_EQ(store.gc({}, Cancel())->freed_bytes, removed.freed_bytes);
    EXPECT_TRUE(problems(store).empty());
  }
};

TEST_F(RepositoryListTest, WhatThereIs) {
  Store store = open();
  Repositories own(store, "");
  Repositories mirror(store, "docker.io");
  EXPECT_TRUE(Repositories::all(store)->empty());
  const oci::Digest shared = push(own, std::string(100, 's'));
  put(store, own, "{\"n\":1}", {shared, push(own, "one")}, {}, {"b", "a"});
  put(store, own, "{\"n\":2}", {shared}, {}, {});
  ASSERT_TRUE(mirror.link_blob("library/app", shared));
  const auto all = *Repositories::all(store);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name + all[1].scope + "/" + all[1].name, "appdocker.io/library/app");
  EXPECT_EQ(all[0].tags, 2);
  EXPECT_EQ(all[0].manifests, 2);
  EXPECT_EQ(all[0].bytes, 100 + 3 + 7 + 7);
  EXPECT_EQ(all[1].manifests, 0);
  const auto entries = *own.entries("app");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(entries[0].bytes, 100 + 3 + 7);
  EXPECT_TRUE(entries[1].tags.empty());
  EXPECT_EQ(own.entries("nothing").error().code(), Code::kNotFound);
}

TEST_F(RepositoryListTest, AUseIsWrittenOnceAMinute) {
  Store store = open();
  Repositories mirror(store, "docker.io");
  const oci::Digest image = put(store, mirror, "{\"n\":1}", {}, {}, {"1"});
  const auto set = [&](const std::string& used) {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute("UPDATE repository_links SET used = " + used));
  };
  const auto used = [&] { return Repositories::all(store)->front().used; };
  set("10");
  ASSERT_TRUE(mirror.note_use("app", image));
  EXPECT_GT(used(), 1'000'000'000);
  set("used - 5");
  const std::int64_t before = used();
  ASSERT_TRUE(mirror.note_use("app", image));
  EXPECT_EQ(used(), before);
  ASSERT_TRUE(mirror.note_use("nothing", image));
}

TEST_F(RepositoryListTest, ATagGoesAloneAndWithTheLastOneTheImage) {
  Store store = open();
  Repositories own(store, "");
  const oci::Digest shared = push(own, std::string(1000, 's'));
  const oci::Digest single = push(own, "single");
  const oci::Digest image = put(store, own, "{\"n\":1}", {shared, single}, {}, {"1", "latest"});
  put(store, own, "{\"n\":2}", {shared}, {}, {"2"});
  const Removed first = *own.drop_tag("app", "latest");
  EXPECT_TRUE(first.manifests.empty());
  EXPECT_EQ(first.freed_bytes, 0);
  const Removed last = *own.drop_tag("app", "1");
  EXPECT_EQ(last.manifests, std::vector{image});
  EXPECT_EQ(last.freed_bytes, 6 + 7);
  EXPECT_FALSE(*own.find_blob("app", single));
  expect_freed(store, last);
  EXPECT_TRUE(*own.find_blob("app", shared));
  EXPECT_EQ(own.drop_tag("app", "1").error().code(), Code::kNotFound);
  expect_freed(store, *own.drop_tag("app", "2"));
  EXPECT_FALSE(*own.exists("app"));
  EXPECT_EQ(own.drop_tag("app", "1").error().code(), Code::kNotFound);
}

TEST_F(RepositoryListTest, AnIndexGoesWithItsEntries) {
  Store store = open();
  Repositories own(store, "");
  const oci::Digest amd64 = put(store, own, "{\"a\":1}", {push(own, "amd64")}, {}, {});
  const oci::Digest arm64 = put(store, own, "{\"a\":2}", {push(own, "arm64")}, {}, {"arm"});
  const oci::Digest both = put(store, own, "{\"b\":1}", {}, {amd64, arm64}, {"1"});
  EXPECT_TRUE((*own.entries("app"))[2].listed);
  const auto refused = own.drop_manifest("app", amd64);
  EXPECT_EQ(refused.error().code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.error().what().find(both.text()), std::string::npos);
  EXPECT_TRUE(*own.find_manifest("app", amd64));
  const Removed removed = *own.drop_manifest("app", both);
  EXPECT_EQ(removed.tags, std::vector<std::string>{"1"});
  EXPECT_EQ(removed.manifests, (std::vector<oci::Digest>{both, amd64}));
  EXPECT_TRUE(*own.find_tag("app", "arm"));
  expect_freed(store, removed);
  EXPECT_EQ(own.drop_manifest("app", both).error().code(), Code::kNotFound);
}

TEST_F(RepositoryListTest, ARepositoryGoesWithItsUploads) {
  Store store = open();
  Repositories own(store, "");
  Repositories mirror(store, "docker.io");
  const oci::Digest layer = push(own, std::string(500, 'l'));
  const oci::Digest image = put(store, own, "{\"n\":1}", {layer}, {}, {"1"});
  ASSERT_TRUE(mirror.link_blob("app", layer));
  Upload writing = *own.begin_upload("app");
  ASSERT_TRUE(writing.write("half"));
  Upload resting = *own.begin_upload("app");
  resting.rest();
  const Removed removed = *own.drop_repository("app");
  EXPECT_EQ(removed.manifests, std::vector{image});
  EXPECT_EQ(removed.freed_bytes, 7);  // the layer stays for the mirror
  EXPECT_FALSE(*own.exists("app"));
  EXPECT_EQ(resting.resume().error().code(), Code::kNotFound);
  EXPECT_EQ(writing.commit({}).error().code(), Code::kNotFound);
  EXPECT_TRUE(list(root + "/uploads").empty());
  EXPECT_FALSE(*own.exists("app"));
  expect_freed(store, removed);
  EXPECT_TRUE(*mirror.find_blob("app", layer));
  EXPECT_EQ(own.drop_repository("app").error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace slipway::store
