// The frontend: a parsed Dockerfile becomes a graph of vertices and the config and history of the target. It decides
// everything and runs nothing; the only I/O is resolving base images (their environment is needed to expand what
// follows) and opening what --build-context names.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "build/build.hpp"
#include "build/ops.hpp"
#include "build/twins.hpp"
#include "dockerfile/dockerfile.hpp"
#include "oci/image.hpp"
#include "solver/solver.hpp"

namespace slipway::build {

/// A line of the image's history; `layer`: it is the next layer of the stack.
struct PlannedHistory {
  oci::History entry;
  bool layer = false;
};

/// What the image of one platform will say, and the vertex of its file system.
struct PlannedImage {
  std::size_t target = 0;
  oci::RunConfig config;
  std::string author;
  oci::Platform platform;                          ///< that was asked for: what an index calls it
  oci::Platform config_platform;                   ///< what its config says
  oci::Family base_family = oci::Family::kDocker;  ///< of the image that it is made from
  std::size_t base_layers = 0;                     ///< of the image that it is made from
  std::vector<PlannedHistory> history;
};

/// What is to be solved: the vertices of all platforms in one graph.
struct Plan {
  solver::Graph graph;
  std::vector<Place> places;          ///< by vertex; one with an empty name is not shown
  std::vector<PlannedImage> images;   ///< one per platform, in the order asked for
  bool index = false;                 ///< they become an image index
  std::size_t environment_bytes = 0;  ///< of the variables of all RUN steps, while it is planned
  struct ForeignStep {
    std::size_t vertex = 0;
    oci::Platform platform;
  };
  std::vector<ForeignStep> foreign;  ///< RUN steps that this machine's processor does not run
  Twins twins;
  std::vector<std::shared_ptr<Context>> folders;  ///< named contexts that were opened; their sums are to be saved
  std::deque<dockerfile::Instruction> triggers;   ///< ONBUILD of base images; places point into it
};

/// Gives progress ids in order of appearance. Thread safe.
class VertexIds {
 public:
  [[nodiscard]] progress::VertexId next() { return ++last_; }

 private:
  std::atomic<progress::VertexId> last_ = 0;
};

/// Opens the context when the first COPY needs it; the same object for all.
using OpenContext = std::function<Result<std::shared_ptr<Context>>()>;

/// `file` outlives the plan. Errors carry line and excerpt.
[[nodiscard]] Result<Plan> plan(const dockerfile::File& file, const Request& request, const OpContext& context,
                                const OpenContext& open_context, VertexIds& ids, const Cancel& cancel);

}  // namespace slipway::build
