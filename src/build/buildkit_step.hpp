// BuildkitStep: how BuildKit would key a vertex of ours, as far as that can be said.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "oci/digest.hpp"
#include "solver/solver.hpp"

namespace slipway::build {

/// What may stand for one input of BuildKit's vertex.
struct BuildkitInput {
  std::optional<std::size_t> input;  ///< an input of our vertex, by number
  std::string selector;              ///< of links to what stands for that input
  /// Records without inputs that may stand there as well, with the selector of the link: contents, inline documents.
  std::vector<std::pair<std::string, oci::Digest>> roots;
};

struct BuildkitStep {
  std::vector<oci::Digest> digests;  ///< of its records; more than one only of a source
  std::vector<BuildkitInput> inputs;
};

/// What an op may ask about what it stands on.
struct BuildkitAsk {
  std::vector<std::size_t> inputs;         ///< vertices
  std::vector<bool> nothing;               ///< by input: it is FROM scratch
  std::vector<solver::OutputPtr> outputs;  ///< by input, as far as they are known; may be empty
};

}  // namespace slipway::build
