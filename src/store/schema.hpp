// The tables of meta.db, their version and the way from older ones. Digests are raw bytes (32 or 64).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "store/sqlite.hpp"

namespace slipway::store {

inline constexpr std::int64_t kSchemaVersion = 8;

/// What a row of `lease_needs` or `refs` points at.
enum class Need : unsigned char {
  kBlob = 0,      ///< a blob without children of interest (config, layer)
  kManifest = 1,  ///< a blob that may have refs of its own
  kSnapshot = 2,
  kRecord = 3,    ///< lease_needs only: the record's key
  kExpanded = 4,  ///< refs only: marks that all refs of the owner are known
  kCache = 5,     ///< lease_needs only: a cache mount
};

/// The step that makes a database of version `to` from one of `to - 1`.
struct Migration {
  std::int64_t to;
  std::string sql;
};
[[nodiscard]] const std::vector<Migration>& migrations();

enum class SchemaState : unsigned char {
  kCurrent,
  kMissing,  ///< no table at all: a new file, or one that lost everything
  kOlder,
  kForeign,  ///< a database of someone else
  kNewer,
};
struct SchemaCheck {
  SchemaState state;
  std::int64_t version;
};
/// Reads two numbers of the first page.
[[nodiscard]] Result<SchemaCheck> check_schema(Connection& db);

/// Brings the database to the last of `steps` in one transaction, with WAL on. Safe to repeat after a crash.
[[nodiscard]] Status migrate(Connection& db, const std::vector<Migration>& steps = migrations());

}  // namespace slipway::store
