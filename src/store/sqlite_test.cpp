#include "store/sqlite.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <list>
#include <thread>

#include "store/schema.hpp"
#include "sys/file.hpp"

namespace slipway::store {
namespace {

struct SqliteTest : testing::Test {
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-store-test-");
  std::string path = dir.path() + "/meta.db";
  Connection open(OpenMode mode = OpenMode::kCreate) { return *Connection::open(path, mode); }
};

TEST_F(SqliteTest, BindsAndReadsWhatItWasGiven) {
  Connection db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE t (n INTEGER, s TEXT, b BLOB, d BLOB) STRICT"));
  const oci::Digest digest = oci::Digest::of("x");
  const std::string raw("a\0b", 3);
  EXPECT_EQ(*db.run("INSERT INTO t VALUES (?, ?, ?, ?)", {1, "", Bind::bytes(raw), digest}), 1);
  EXPECT_EQ(*db.run("INSERT INTO t VALUES (?, ?, ?, ?)", {2, "two", Bind::bytes(""), std::optional<oci::Digest>()}), 1);
  Rows rows = *db.query("SELECT n, s, b, d FROM t ORDER BY n");
  ASSERT_TRUE(*rows.next());
  EXPECT_EQ(rows.integer(0), 1);
  EXPECT_EQ(rows.text(1), "");
  EXPECT_FALSE(rows.null(1));
  EXPECT_EQ(rows.text(2), raw);
  EXPECT_EQ(*rows.digest(3), digest);
  ASSERT_TRUE(*rows.next());
  EXPECT_FALSE(rows.null(2));
  EXPECT_TRUE(rows.null(3));
  EXPECT_EQ(rows.digest(3).error().code(), Code::kDataLoss);
  EXPECT_FALSE(*rows.next());
}

TEST_F(SqliteTest, OneStatementMayRunInsideItself) {
  Connection db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE t (n INTEGER) STRICT; INSERT INTO t VALUES (1), (2)"));
  int seen = 0;
  Rows outer = *db.query("SELECT n FROM t");
  while (*outer.next()) {
    Rows inner = *db.query("SELECT n FROM t");
    while (*inner.next()) ++seen;
  }
  EXPECT_EQ(seen, 4);
}

TEST_F(SqliteTest, StatementsAreKeptByTheirTextAndNotByThatOfTheCaller) {
  Connection db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE t (n INTEGER) STRICT; INSERT INTO t VALUES (1)"));
  std::list<std::string> texts;
  const auto ask = [&](std::string_view sql) {
    std::string& text = texts.emplace_back(sql);
    EXPECT_EQ(*db.number(text), 1);
    text.assign(text.size(), '?');
  };
  ask("SELECT n FROM t WHERE n > 0");
  const auto held = sqlite3_memory_used();
  for (int i = 0; i < 100; ++i) ask("SELECT n FROM t WHERE n > 0");
  EXPECT_LT(sqlite3_memory_used(), held + 4096) << "a statement for each call";
}

TEST_F(SqliteTest, ATransactionNotCommittedLeavesNothing) {
  Connection db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE t (n INTEGER) STRICT"));
  {
    const Txn txn = *Txn::write(db);
    ASSERT_TRUE(db.run("INSERT INTO t VALUES (1)"));
  }
  EXPECT_EQ(**db.number("SELECT count(*) FROM t"), 0);
  Txn txn = *Txn::write(db);
  ASSERT_TRUE(db.run("INSERT INTO t VALUES (1)"));
  ASSERT_TRUE(txn.commit());
  EXPECT_EQ(**db.number("SELECT count(*) FROM t"), 1);
}

TEST_F(SqliteTest, WritersWaitForTheirTurn) {
  Connection db = open();
  ASSERT_TRUE(migrate(db));
  ASSERT_TRUE(db.execute("CREATE TABLE t (n INTEGER) STRICT; INSERT INTO t VALUES (0)"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Connection own = open(OpenMode::kExisting);
      for (int k = 0; k < 50; ++k) {
        Txn txn = *Txn::write(own);
        const auto n = **own.number("SELECT n FROM t");
        ASSERT_TRUE(own.run("UPDATE t SET n = ?", {n + 1}));
        ASSERT_TRUE(txn.commit());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(**db.number("SELECT n FROM t"), 200);
}

TEST_F(SqliteTest, AReplacedFileIsNoticedBeforeWriting) {
  Connection db = open();
  ASSERT_TRUE(migrate(db));
  ASSERT_EQ(rename(path.c_str(), (path + ".old").c_str()), 0);
  Connection other = open();
  EXPECT_EQ(Txn::write(db).error().code(), Code::kAborted);
}

TEST_F(SqliteTest, ABrokenFileIsDataLossWithAWayOut) {
  ASSERT_TRUE(sys::replace_file(path, std::string(8192, 'x'), 0600));
  auto db = Connection::open(path, OpenMode::kExisting);
  const Error error = db ? check_schema(*db).error() : db.error();
  EXPECT_EQ(error.code(), Code::kDataLoss);
  EXPECT_NE(error.hint().find("fsck --repair"), std::string::npos);
}

TEST_F(SqliteTest, AMissingFileIsNotMade) {
  EXPECT_EQ(Connection::open(path, OpenMode::kExisting).error().code(), Code::kNotFound);
}

TEST_F(SqliteTest, MigrationsRunOnceEachInOrderAndAllOrNone) {
  Connection db = open();
  EXPECT_EQ(check_schema(db)->state, SchemaState::kMissing);
  ASSERT_TRUE(migrate(db));
  EXPECT_EQ(check_schema(db)->state, SchemaState::kCurrent);
  std::vector<Migration> steps = migrations();
  steps.push_back({kSchemaVersion + 1, "CREATE TABLE next (n INTEGER) STRICT"});
  steps.push_back({kSchemaVersion + 2, "CREATE TABLE next (n INTEGER) STRICT"});  // fails: is there
  EXPECT_FALSE(migrate(db, steps));
  EXPECT_EQ(check_schema(db)->version, kSchemaVersion);
  EXPECT_EQ(**db.number("SELECT count(*) FROM sqlite_schema WHERE name = 'next'"), 0);
  steps.pop_back();
  ASSERT_TRUE(migrate(db, steps));
  EXPECT_EQ(check_schema(db)->state, SchemaState::kNewer);
}

}  // namespace
}  // namespace slipway::store
