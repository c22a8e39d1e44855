// StepCache: a cache of steps that lies outside of the store and is asked by keys of its own kind: kaniko's cache
// repositories. The solver knows nothing of it: for it a step that is found here has run.
#pragma once

#include <optional>
#include <string>

#include "build/stack.hpp"
#include "build/step_chain.hpp"

namespace slipway::build {

/// A step as such a cache sees it.
struct CacheableStep {
  progress::VertexId vertex = 0;
  std::string text;        ///< the instruction as written
  StepChain chain;         ///< leads to it, itself included
  std::string exact;       ///< tells it from every other step: the solver's key. Empty: not known
  bool told_apart = true;  ///< false: the chain's key may be that of another step, only `exact` can be believed
};

class StepCache {
 public:
  virtual ~StepCache() = default;
  /// The facts of the step's layer, whose bytes are in the store then, verified; its chain ID is not set. Nothing when
  /// it is not there. An error only when the command was cancelled or the store can not be written.
  [[nodiscard]] virtual Result<std::optional<LayerFacts>> find(const Workshop& shop, const CacheableStep& step,
                                                               const Cancel& cancel) = 0;
  /// The step has run and left this layer. What can not be kept is a warning.
  virtual void keep(const Workshop& shop, const CacheableStep& step, const LayerFacts& facts, const Cancel& cancel) = 0;
  /// Which instructions are cached.
  [[nodiscard]] virtual bool takes_run() const = 0;
  [[nodiscard]] virtual bool takes_copy() const = 0;
};

}  // namespace slipway::build
