// Noted builds: order, renewal, pruning by number and by bytes, and the way from schema 2.
#include <algorithm>

#include "store/schema.hpp"
#include "store/test_store.hpp"

namespace slipway::store {
namespace {

struct NotedBuildTest : StoreTest {
  static BuildNote note(const std::string& name, std::optional<oci::Digest> manifest = std::nullopt) {
    return {.identity = oci::Digest::of(name), .manifest = manifest, .config = manifest, .document = name, .made = 0};
  }
  static BuildInput input(const std::string& name, std::size_t size = 10, std::vector<oci::Digest> needs = {}) {
    return {oci::Digest::of(name), std::string(size, 'x'), std::move(needs)};
  }
  static std::vector<std::string> documents(const Store& store, std::string_view scope = kScope) {
    std::vector<std::string> out;
    const auto builds = store.noted_builds(scope);
    for (const auto& build : builds.value()) out.push_back(build.document);
    return out;
  }
  std::int64_t number(const char* sql) const {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    return (*db.number(sql)).value_or(-1);
  }
  void run(const char* sql) const {
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    ASSERT_TRUE(db.execute(sql));
  }
};

TEST_F(NotedBuildTest, TheNewestComesFirstAndEachScopeHasItsOwn) {
  Store store = open();
  const oci::Digest manifest = oci::Digest::of("manifest");
  const oci::Digest step = oci::Digest::of("step");
  ASSERT_TRUE(store.note_build(kScope, note("one"), {}, {}));
  ASSERT_TRUE(store.note_build(kScope, note("two", manifest), {step}, {input("step")}));
  ASSERT_TRUE(store.note_build("other", note("three"), {}, {}));
  EXPECT_EQ(documents(store), (std::vector<std::string>{"two", "one"}));
  const auto builds = *store.noted_builds(kScope);
  EXPECT_EQ(builds[0].manifest, manifest);
  EXPECT_FALSE(builds[1].manifest);
  EXPECT_GT(builds[0].made, 0);
  EXPECT_EQ(**store.build_input(kScope, step), std::string(10, 'x'));
  EXPECT_FALSE(*store.build_input("other", step));
  EXPECT_TRUE(*store.has_build_input(kScope, step));
  EXPECT_FALSE(*store.has_build_input(kScope, oci::Digest::of("none")));
  EXPECT_TRUE(problems(store).empty());
}

TEST_F(NotedBuildTest, TheSameAgainIsTheNewestAndUsuallyNotWritten) {
  Store store = open();
  EXPECT_FALSE(*store.renew_build(kScope, oci::Digest::of("one")));
  ASSERT_TRUE(store.note_build(kScope, note("one"), {}, {}));
  ASSERT_TRUE(store.note_build(kScope, note("two"), {}, {}));
  const auto version = [&] { return number("SELECT max(position) FROM builds"); };
  const std::int64_t before = version();
  EXPECT_TRUE(*store.renew_build(kScope, oci::Digest::of("two")));
  EXPECT_EQ(version(), before);
  EXPECT_TRUE(*store.renew_build(kScope, oci::Digest::of("one")));
  EXPECT_EQ(documents(store), (std::vector<std::string>{"one", "two"}));
  run("UPDATE builds SET made = made - 3600");
  EXPECT_TRUE(*store.renew_build(kScope, oci::Digest::of("one")));
  EXPECT_GT(version(), before + 1);
  ASSERT_TRUE(store.note_build(kScope, note("two"), {}, {}));
  EXPECT_EQ(documents(store), (std::vector<std::string>{"two", "one"}));
}

TEST_F(NotedBuildTest, TheOldestGoWithWhatOnlyTheyNeed) {
  Store store = open();
  const oci::Digest shared = oci::Digest::of("shared");
  for (int i = 0; i < kNotedBuilds + 6; ++i) {
    const std::string name = std::to_string(i);
    const oci::Digest listing = oci::Digest::of("listing " + name);
    ASSERT_TRUE(store.note_build(kScope, note("build " + name), {oci::Digest::of(name), shared},
                                 {input(name, 10, {listing}), input("listing " + name), input("shared")}));
  }
  EXPECT_EQ(std::ssize(documents(store)), kNotedBuilds);
  EXPECT_EQ(documents(store).back(), "build 6");
  EXPECT_EQ(number("SELECT count(*) FROM build_inputs"), 2 * kNotedBuilds + 1);
  EXPECT_EQ(number("SELECT count(*) FROM build_needs"), 3 * kNotedBuilds);
  EXPECT_FALSE(*store.has_build_input(kScope, oci::Digest::of("listing 5")));
  EXPECT_TRUE(*store.has_build_input(kScope, oci::Digest::of("listing 6")));
  EXPECT_TRUE(*store.has_build_input(kScope, shared));
}

TEST_F(NotedBuildTest, TooManyBytesLeaveTheNewest) {
  Store store = open();
  ASSERT_TRUE(store.note_build("other", note("theirs"), {oci::Digest::of("big")}, {input("big", 10 << 20)}));
  for (int i = 0; i < 5; ++i) {
    const std::string name = std::to_string(i);
    ASSERT_TRUE(store.note_build(kScope, note(name), {oci::Digest::of("i" + name)}, {input("i" + name, 10 << 20)}));
  }
  EXPECT_EQ(documents(store), (std::vector<std::string>{"4", "3", "2"}));
  ASSERT_TRUE(store.note_build(kScope, note("huge"), {oci::Digest::of("i")}, {input("i", kNotedBytes + 1)}));
  EXPECT_EQ(documents(store), std::vector<std::string>{"huge"});
  EXPECT_EQ(documents(store, "other"), std::vector<std::string>{"theirs"});
}

TEST_F(NotedBuildTest, AnInputThatIsReplacedNeedsWhatTheNewOneSays) {
  Store store = open();
  const oci::Digest key = oci::Digest::of("step");
  ASSERT_TRUE(store.note_build(kScope, note("one"), {key}, {input("step", 1, {oci::Digest::of("a")}), input("a")}));
  ASSERT_TRUE(store.note_build(kScope, note("two"), {key}, {input("step", 2, {oci::Digest::of("b")}), input("b")}));
  EXPECT_EQ((**store.build_input(kScope, key)).size(), 2U);
  EXPECT_EQ(number("SELECT count(*) FROM build_needs"), 3);
}

TEST_F(NotedBuildTest, RowsOfSomethingElseAreDataLossOrNothing) {
  Store store = open();
  ASSERT_TRUE(store.note_build(kScope, note("one"), {oci::Digest::of("step")}, {input("step")}));
  run("UPDATE build_inputs SET value = zeroblob(20000000)");
  EXPECT_FALSE(*store.build_input(kScope, oci::Digest::of("step")));
  run("UPDATE builds SET manifest = x'0011'");
  EXPECT_EQ(store.noted_builds(kScope).error().code(), Code::kDataLoss);
}

TEST_F(NotedBuildTest, GcLeavesThemAndALostDatabaseDoesNot) {
  {
    Store store = open();
    ASSERT_TRUE(store.note_build(kScope, note("one"), {oci::Digest::of("step")}, {input("step")}));
    ASSERT_TRUE(store.gc({.max_size = {}, .all = true}, Cancel()));
    EXPECT_EQ(documents(store), std::vector<std::string>{"one"});  // they tell that gc removed a record
    EXPECT_EQ(store.usage()->record_count, 0);
  }
  for (const char* suffix : {"", "-wal", "-shm"}) ASSERT_TRUE(sys::unlink_at(AT_FDCWD, root + "/meta.db" + suffix));
  Store again = open();
  EXPECT_TRUE(documents(again).empty());
  ASSERT_TRUE(again.note_build(kScope, note("two"), {}, {}));
}

TEST_F(NotedBuildTest, ADatabaseOfSchema2KeepsAllItHas) {
  const std::string path = root + ".db";
  std::vector<Migration> old = migrations();
  std::erase_if(old, [](const Migration& step) { return step.to > 2; });
  Connection db = *Connection::open(path, OpenMode::kCreate);
  ASSERT_TRUE(migrate(db, old));
  ASSERT_TRUE(db.execute("INSERT INTO blobs VALUES (x'00', 7); INSERT INTO facts VALUES (1, 'k', x'01', x'02', 3)"));
  EXPECT_EQ(check_schema(db)->state, SchemaState::kOlder);
  ASSERT_TRUE(migrate(db));
  EXPECT_EQ(check_schema(db)->version, kSchemaVersion);
  EXPECT_EQ(**db.number("SELECT size FROM blobs"), 7);
  EXPECT_EQ(**db.number("SELECT count(*) FROM facts"), 1);
  EXPECT_EQ(**db.number("SELECT count(*) FROM builds"), 0);
  ASSERT_TRUE(migrate(db));  // again: nothing to do
}

}  // namespace
}  // namespace slipway::store
