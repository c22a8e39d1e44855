// TravellingRecords: the records of the store, and behind them the caches that --cache-from names.
//
// What rests upon a foreign cache is kept apart from what was built here: a scope of its own per set of caches and what
// they are believed by, in which only builds look that name the same ones, and for which these answer
// (CacheImport::answers). So a poisoned cache can give results to those who chose to trust it, and to nobody
// afterwards; and one that is away, or shows itself no more to whoever builds, gives none.
//
// A record of the store is found by what configs say of base images; it is given to who has shown that they are true.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "build/bases.hpp"
#include "build/cache_import.hpp"
#include "build/store_records.hpp"

namespace slipway::build {

class TravellingRecords final : public solver::Records {
 public:
  /// `caches` may be null. All of it outlives the object.
  TravellingRecords(const Workshop& shop, Bases& bases, CacheImport* caches)
      : shop_(shop), bases_(bases), caches_(caches), own_(shop) {}
  Result<std::optional<solver::Record>> find(std::size_t vertex, const solver::Key& key) override;
  Status put(const solver::Key& key, const solver::Record& record) override;
  Result<std::optional<solver::Record>> find_otherwise(std::size_t vertex, const solver::Key& key,
                                                       const std::vector<solver::OutputPtr>& outputs) override;
  Result<std::unique_ptr<Lock>> lock(const solver::Key& key, const Cancel& cancel) override;

  /// Records what came out of a cache and is here by now, so that the next build needs no cache for it.
  [[nodiscard]] Status keep(const std::vector<solver::Solved>& solved);

 private:
  /// Those that rest upon the caches, which are asked now unless they were; there are some.
  [[nodiscard]] StoreRecords& borrowed();
  [[nodiscard]] Result<std::optional<solver::Record>> find_borrowed(std::size_t vertex, const solver::Key& key);

  const Workshop& shop_;
  Bases& bases_;
  CacheImport* caches_;
  StoreRecords own_;
  std::once_flag borrowing_;
  std::optional<StoreRecords> borrowed_;
};

}  // namespace slipway::build
