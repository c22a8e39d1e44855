// What copy, workdir and exec have in common: one fresh layer over the first input, recorded with all layers of the
// result. Dependents start over its tree at once; tar, compression and the blob's fsync run beside them (solver.hpp:
// finish).
#pragma once

#include "build/commit.hpp"
#include "build/definition.hpp"
#include "build/ops.hpp"

namespace slipway::build {

/// The layers of a record; kNotFound when they can not be had (CacheImport::check).
[[nodiscard]] Result<solver::OutputPtr> load_stack(const OpContext& context, std::string_view value,
                                                   const Cancel& cancel);

class LayerOp : public DescribedOp {
 public:
  LayerOp(const OpContext& context, Place place) : context_(context), place_(std::move(place)) {}

  Result<solver::OutputPtr> load(std::string_view value, const std::vector<solver::Key>&, const Cancel& cancel) final;
  Result<solver::OutputPtr> run(const std::vector<solver::OutputPtr>& inputs, const Cancel& cancel) final;
  Result<std::string> finish(const solver::Output& output, const Cancel& cancel) final;

 protected:
  /// Fills `upper` (a draft's fs) over `lowers`.
  [[nodiscard]] virtual Status fill(const store::SnapshotDraft& draft, const std::vector<std::string>& lowers,
                                    const std::vector<solver::OutputPtr>& inputs, const Cancel& cancel) = 0;
  /// Told by fill(): what it made is not what the key says. Nothing is recorded of it, nor of what stands upon it.
  void set_off_key() { off_key_ = true; }
  [[nodiscard]] const OpContext& context() const { return context_; }
  [[nodiscard]] const Place& place() const { return place_; }

 private:
  [[nodiscard]] Result<std::optional<solver::OutputPtr>> from_cache(const Stack& base, const Cancel& cancel) const;
  [[nodiscard]] Status place_cached(const Stack& stack) const;
  const OpContext& context_;
  Place place_;
  bool off_key_ = false;
};

}  // namespace slipway::build
