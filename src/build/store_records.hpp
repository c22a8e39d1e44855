// Build records in the store: what the solver looks up and leaves.
#pragma once

#include "build/stack.hpp"
#include "solver/solver.hpp"

namespace slipway::build {

class StoreRecords final : public solver::Records {
 public:
  /// Of the command's own scope.
  explicit StoreRecords(const Workshop& shop) : StoreRecords(shop, shop.scope) {}
  StoreRecords(const Workshop& shop, std::string scope) : shop_(shop), scope_(std::move(scope)) {}
  Result<std::optional<solver::Record>> find(std::size_t vertex, const solver::Key& key) override;
  Status put(const solver::Key& key, const solver::Record& record) override;
  Result<std::unique_ptr<Lock>> lock(const solver::Key& key, const Cancel& cancel) override;

 private:
  const Workshop& shop_;
  const std::string scope_;
};

}  // namespace slipway::build
