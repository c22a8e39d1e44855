// SQLite with types: one connection, its statement cache, and transactions that roll back unless committed.
//
//   Connection db = TRY(Connection::open(path, OpenMode::kExisting));
//   Txn txn = TRY(Txn::write(db));                                      // BEGIN IMMEDIATE, waits for its turn
//   TRY(db.run("INSERT INTO blobs VALUES(?, ?)", {digest, size}));
//   Rows rows = TRY(db.query("SELECT size FROM blobs WHERE digest = ?", {digest}));
//   while (TRY(rows.next())) total += rows.integer(0);
//   TRY(txn.commit());
//
// Codes: busy kUnavailable, full kResourceExhausted, I/O and broken files kDataLoss, a constraint kInternal. All
// writing goes through BEGIN IMMEDIATE, so "busy" can only mean waiting at the door, never a deadlock half-way.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "oci/digest.hpp"

struct sqlite3_stmt;

namespace slipway::store {

/// A value bound to a `?`: integer, text, raw bytes (digests too) or NULL. Refers to the caller's bytes; they are
/// copied by the call that takes it.
class Bind {
 public:
  Bind(std::int64_t number) : kind_(Kind::kInteger), integer_(number) {}  // NOLINT: a bind is written as its value
  Bind(int number) : Bind(static_cast<std::int64_t>(number)) {}
  Bind(bool flag) : Bind(static_cast<std::int64_t>(flag)) {}
  Bind(std::string_view text) : kind_(Kind::kText), bytes_(text) {}
  Bind(const std::string& text) : Bind(std::string_view(text)) {}
  Bind(const char* text) : Bind(std::string_view(text)) {}
  Bind(const oci::Digest& digest) : kind_(Kind::kBytes), bytes_(digest.raw()) {}
  Bind(const std::optional<oci::Digest>& digest) : kind_(digest ? Kind::kBytes : Kind::kNull) {
    if (digest) bytes_ = digest->raw();
  }
  static Bind bytes(std::string_view raw) {
    Bind bind(raw);
    bind.kind_ = Kind::kBytes;
    return bind;
  }

 private:
  friend class Connection;
  enum class Kind : unsigned char { kNull, kInteger, kText, kBytes };
  Kind kind_;
  std::int64_t integer_ = 0;
  std::string_view bytes_;
};

class Connection;

/// A running query. Gives its statement back to the cache at the end; must not outlive the connection.
class [[nodiscard]] Rows {
 public:
  Rows(Rows&& other) noexcept;
  Rows& operator=(Rows&&) = delete;
  ~Rows();
  /// Steps to the next row; false at the end.
  [[nodiscard]] Result<bool> next();
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view bytes(int column) const;  ///< text or blob; valid until next()
  [[nodiscard]] std::string text(int column) const { return std::string(bytes(column)); }
  [[nodiscard]] bool null(int column) const;
  /// A digest column; kDataLoss when it is none (the database is broken).
  [[nodiscard]] Result<oci::Digest> digest(int column) const;

 private:
  friend class Connection;
  Rows(Connection& connection, sqlite3_stmt* statement) : connection_(&connection), statement_(statement) {}
  Connection* connection_;
  sqlite3_stmt* statement_;
};

enum class OpenMode : unsigned char {
  kExisting,  ///< a missing file is kNotFound
  kCreate,
  kReadOnly,
};

/// One connection: used by one thread at a time, never across a fork. Statements are kept for the next query of the
/// same text, all of them: what differs from call to call is bound, not written into the text.
class Connection {
 public:
  static Result<Connection> open(const std::string& path, OpenMode mode);
  Connection();  ///< closed
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();
  void close();

  /// Many statements without binds (schema, pragmas).
  [[nodiscard]] Status execute(const std::string& sql);
  [[nodiscard]] Result<Rows> query(std::string_view sql, std::initializer_list<Bind> binds = {});
  /// Runs to the end; gives the number of changed rows.
  [[nodiscard]] Result<int> run(std::string_view sql, std::initializer_list<Bind> binds = {});
  /// The first column of the first row; nothing without a row.
  [[nodiscard]] Result<std::optional<std::int64_t>> number(std::string_view sql,
                                                           std::initializer_list<Bind> binds = {});

  [[nodiscard]] const std::string& path() const;
  /// Whether SQLite ever called this file malformed or no database.
  [[nodiscard]] bool broken() const;
  /// Whether the path still names the file that is open: a rebuild by another process replaces it.
  [[nodiscard]] bool still_there() const;

 private:
  friend class Rows;
  friend class Txn;
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  Result<sqlite3_stmt*> take(std::string_view sql);
  void give_back(sqlite3_stmt* statement);
  Error error(int code) const;
  std::unique_ptr<State> state_;
};

/// A transaction; rolled back by its destructor unless committed. Not nested.
class [[nodiscard]] Txn {
 public:
  /// Waits up to a minute for other writers, then kUnavailable. kAborted when the file was replaced meanwhile.
  static Result<Txn> write(Connection& connection);
  /// One consistent view for many queries; blocks nobody.
  static Result<Txn> read(Connection& connection);
  Txn(Txn&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}
  Txn& operator=(Txn&&) = delete;
  ~Txn();
  [[nodiscard]] Status commit();

 private:
  explicit Txn(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
};

}  // namespace slipway::store
