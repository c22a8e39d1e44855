// Build records in the store: what the solver looks up and leaves.
#pragma once

#include "build/stack.hpp"
#include "solver/solver.hpp"

namespace slipway::build {

class StoreRecords final : public solver::Records {
 public:
  explicit StoreRecords(const Workshop& shop) : shop_(shop) {}
  Result<std::optional<solver::Record>> find(const solver::Key& key) override;
  Status put(const solver::Key& key, const solver::Record& record) override;
  Result<std::unique_ptr<Lock>> lock(const solver::Key& key, const Cancel& cancel) override;

 private:
  const Workshop& shop_;
};

}  // namespace slipway::build
