// Twins: a build for several platforms plans each of them, and where an instruction asks for the same thing upon the
// same inputs again, it is the same vertex: it runs once and is shown once.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "build/ops.hpp"
#include "solver/solver.hpp"

namespace slipway::build {

class Twins {
 public:
  /// What an op was made of; the list of texts says it for ops without a spec of their own: {"workdir", path, user}.
  using Spec = std::variant<std::vector<std::string>, CopySpec, ExecSpec>;

  /// The vertex that was planned for `source` with an equal spec and equal inputs.
  [[nodiscard]] std::optional<std::size_t> find(const dockerfile::Source* source, const Spec& spec,
                                                const std::vector<solver::Input>& inputs) const {
    const auto [first, last] = planned_.equal_range(source);
    for (auto it = first; it != last; ++it)
      if (it->second.inputs == inputs && it->second.spec == spec) return it->second.vertex;
    return std::nullopt;
  }
  void add(const dockerfile::Source* source, Spec spec, std::vector<solver::Input> inputs, std::size_t vertex) {
    planned_.emplace(source, Planned{std::move(spec), std::move(inputs), vertex});
  }

 private:
  struct Planned {
    Spec spec;
    std::vector<solver::Input> inputs;
    std::size_t vertex = 0;
  };
  std::multimap<const dockerfile::Source*, Planned> planned_;
};

}  // namespace slipway::build
