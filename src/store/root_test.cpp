#include <functional>
#include <optional>

#include "store/test_store.hpp"

namespace slipway::store {
namespace {

using RootTest = StoreTest;

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
void PrintTo(const LostDatabase& lost, std::ostream* out) { *out << lost.name; }
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
    ::testing::Values(
        LostDatabase{"Removed", [](const std::string& path) { ASSERT_EQ(::unlink(path.c_str()), 0); }},
        LostDatabase{"Emptied", [](const std::string& path) { ASSERT_EQ(::truncate(path.c_str(), 0), 0); }},
        LostDatabase{
            "Garbled",
            [](const std::string& path) { ASSERT_TRUE(sys::replace_file(path, std::string(40960, 'g'), 0600)); }},
        LostDatabase{"Shortened", [](const std::string& path) { ASSERT_EQ(::truncate(path.c_str(), 3000), 0); }}),
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
