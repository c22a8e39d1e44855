#include "store/sqlite.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/cancel.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

namespace slipway::store {
namespace {

constexpr std::int64_t kBusyLimitMs = 60'000;
/// Pages in the WAL before a commit moves them to the file (two fsyncs): small enough that the first process after an
/// idle time reads the WAL in about a millisecond, large enough that it happens once in some dozens of commands.
constexpr int kCheckpointPages = 512;

/// SQLite's own handler sleeps up to 100 ms at a time; our transactions last well below one.
struct Busy {
  std::int64_t since = 0;
};
int wait_when_busy(void* data, int attempt) {
  auto* busy = static_cast<Busy*>(data);
  if (attempt == 0) busy->since = monotonic_ms();
  if (monotonic_ms() - busy->since > kBusyLimitMs) return 0;
  (void)Cancel().wait_for(1 + std::min(attempt / 16, 9));
  return 1;
}

Code code_of(int primary) {
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return Code::kUnavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return Code::kResourceExhausted;
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::kDataLoss;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Code::kPermissionDenied;
    case SQLITE_CANTOPEN:
      return Code::kNotFound;
    case SQLITE_INTERRUPT:
      return Code::kCancelled;
    default:
      return Code::kInternal;
  }
}

}  // namespace

struct Connection::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (const auto& [sql, statement] : idle) sqlite3_finalize(statement);
    sqlite3_close_v2(handle);
  }

  sqlite3* handle = nullptr;
  std::string path;
  std::unordered_multimap<std::string_view, sqlite3_stmt*> idle;  ///< by their texts, which they own
  Busy busy;
  bool broken = false;
  dev_t device = 0;
  ino_t inode = 0;
};

Connection::Connection() = default;
Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;
void Connection::close() { state_.reset(); }
const std::string& Connection::path() const { return state_->path; }
bool Connection::broken() const { return state_->broken; }

Result<Connection> Connection::open(const std::string& path, OpenMode mode) {
  auto state = std::make_unique<State>();
  state->path = path;
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= mode == OpenMode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode == OpenMode::kCreate) flags |= SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(path.c_str(), &state->handle, flags, nullptr);
  Connection connection(std::move(state));
  if (code != SQLITE_OK) return std::unexpected(connection.error(code));
  sqlite3* handle = connection.state_->handle;
  sqlite3_busy_handler(handle, wait_when_busy, &connection.state_->busy);
  // The last process to leave would checkpoint: two fsyncs at the end of every command, for nothing.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_autocheckpoint(handle, kCheckpointPages);
  // A broken file opens all the same: the caller asks broken() and rebuilds it.
  if (Status set = connection.execute("PRAGMA synchronous=NORMAL; PRAGMA trusted_schema=OFF;");
      !set && !connection.broken())
    return std::unexpected(std::move(set).error());
  struct stat info{};
  if (::stat(path.c_str(), &info) < 0) return fail_errno("cannot stat {}", printable(path));
  connection.state_->device = info.st_dev;
  connection.state_->inode = info.st_ino;
  return connection;
}

bool Connection::still_there() const {
  struct stat info{};
  return ::stat(state_->path.c_str(), &info) == 0 && info.st_dev == state_->device && info.st_ino == state_->inode;
}

Error Connection::error(int code) const {
  const int primary = code & 0xff;
  std::string what = fmt::format("{}: {}", printable(state_->path),
                                 state_->handle != nullptr ? sqlite3_errmsg(state_->handle) : sqlite3_errstr(code));
  if (primary == SQLITE_FULL) return Error(Code::kResourceExhausted, std::move(what)).with_errno(ENOSPC);
  const int number = state_->handle != nullptr ? sqlite3_system_errno(state_->handle) : 0;
  if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && number != 0) {
    const Error system = errno_error(number, what);
    const bool told = primary == SQLITE_CANTOPEN || system.code() == Code::kResourceExhausted;
    return Error(told ? system.code() : Code::kDataLoss, system.what()).with_errno(number);
  }
  Error error(code_of(primary), std::move(what));
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
    state_->broken = true;
    error.with_hint("`slipway fsck --repair` rebuilds it from the blobs");
  }
  return error;
}

Status Connection::execute(const std::string& sql) {
  const int code = sqlite3_exec(state_->handle, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return {};
}

Result<sqlite3_stmt*> Connection::take(std::string_view sql) {
  if (const auto found = state_->idle.find(sql); found != state_->idle.end()) {
    sqlite3_stmt* statement = found->second;
    state_->idle.erase(found);
    return statement;
  }
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(state_->handle, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return statement;
}

void Connection::give_back(sqlite3_stmt* statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  state_->idle.emplace(sqlite3_sql(statement), statement);
}

Result<Rows> Connection::query(std::string_view sql, std::initializer_list<Bind> binds) {
  Rows rows(*this, TRY(take(sql)));
  int position = 0;
  for (const Bind& bind : binds) {
    ++position;
    int code = SQLITE_OK;
    // A null pointer would bind NULL: an empty value must stay a value.
    const char* data = bind.bytes_.data() != nullptr ? bind.bytes_.data() : "";
    switch (bind.kind_) {
      case Bind::Kind::kNull:
        code = sqlite3_bind_null(rows.statement_, position);
        break;
      case Bind::Kind::kInteger:
        code = sqlite3_bind_int64(rows.statement_, position, bind.integer_);
        break;
      case Bind::Kind::kText:
        code = sqlite3_bind_text64(rows.statement_, position, data, bind.bytes_.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
      case Bind::Kind::kBytes:
        code = sqlite3_bind_blob64(rows.statement_, position, data, bind.bytes_.size(), SQLITE_TRANSIENT);
        break;
    }
    if (code != SQLITE_OK) return std::unexpected(error(code));
  }
  return rows;
}

Result<int> Connection::run(std::string_view sql, std::initializer_list<Bind> binds) {
  Rows rows = TRY(query(sql, binds));
  while (TRY(rows.next())) {}
  return sqlite3_changes(state_->handle);
}

Result<std::optional<std::int64_t>> Connection::number(std::string_view sql, std::initializer_list<Bind> binds) {
  Rows rows = TRY(query(sql, binds));
  if (!TRY(rows.next())) return std::nullopt;
  return rows.integer(0);
}

Rows::Rows(Rows&& other) noexcept
    : connection_(other.connection_), statement_(std::exchange(other.statement_, nullptr)) {}
Rows::~Rows() {
  if (statement_ != nullptr) connection_->give_back(statement_);
}

Result<bool> Rows::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return std::unexpected(connection_->error(code));
}

std::int64_t Rows::integer(int column) const { return sqlite3_column_int64(statement_, column); }
bool Rows::null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
std::string_view Rows::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
}

Result<oci::Digest> Rows::digest(int column) const {
  const std::string_view raw = bytes(column);
  if (raw.size() == 64) return oci::Digest::parse("sha512:" + hex(raw));
  if (raw.size() == 32) return oci::Digest::from_raw_sha256(raw);
  connection_->state_->broken = true;
  return std::unexpected(Error(Code::kDataLoss, fmt::format("{} is broken: a digest of {} bytes",
                                                            printable(connection_->path()), raw.size()))
                             .with_hint("`slipway fsck --repair` rebuilds it from the blobs"));
}

Result<Txn> Txn::write(Connection& connection) {
  TRY(connection.run("BEGIN IMMEDIATE"));
  Txn txn(connection);
  if (!connection.still_there()) {
    return fail(Code::kAborted, "{} was replaced while it was in use (a repair?); run the command again",
                printable(connection.path()));
  }
  return txn;
}

Result<Txn> Txn::read(Connection& connection) {
  TRY(connection.run("BEGIN"));
  return Txn(connection);
}

Txn::~Txn() {
  if (connection_ == nullptr) return;
  // Some failures (full, I/O) have rolled back already; "no transaction is active" is then no news.
  if (sqlite3_get_autocommit(connection_->state_->handle) == 0) (void)connection_->run("ROLLBACK");
}

Status Txn::commit() {
  TRY(connection_->run("COMMIT"));
  connection_ = nullptr;
  return {};
}

}  // namespace slipway::store
