// One stage's instructions, planned: each changes the config, adds history, and where it makes a layer adds a vertex.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "build/frontend.hpp"
#include "build/variables.hpp"

namespace slipway::build {

/// A stage between two instructions; copied, but for its history, to a stage that is built FROM it.
struct StageState {
  std::size_t vertex = 0;                          ///< its file system
  oci::Platform platform;                          ///< what its RUN steps are for
  oci::Platform image_platform;                    ///< what the config of its base says
  std::size_t base_layers = 0;                     ///< of its base
  oci::Family base_family = oci::Family::kDocker;  ///< of its base; nothing is docker's, as kaniko has it
  Environment environment;                         ///< what RUN and expansion see: ENV and ARG, later wins
  std::vector<dockerfile::ArgItem> args;           ///< declared so far, in order: RUN's history prefix
  Environment image_environment;                   ///< the image's own: what ENV set
  oci::RunConfig config;                           ///< its `env` is empty until the target is known
  std::string author;
  std::size_t history_bytes = 0;        ///< of the texts of all history, inherited ones too
  std::vector<PlannedHistory> history;  ///< what this stage adds to that of the stage it is built FROM
  bool cmd_set = false;
  /// ARGs of the stages before, which kaniko has in the keys of this one too; none where no StepCache is asked.
  Environment earlier_args;
  StepChain chain;                                       ///< what led here; none where no StepCache is asked
  bool told_apart = true;                                ///< of the chain: CacheableStep
  [[nodiscard]] std::string directory() const;           ///< the WORKDIR in force, "/" without one
  [[nodiscard]] std::vector<std::string> shell() const;  ///< the SHELL in force
};

/// What the planner of stages lends to one stage.
struct StageTools {
  const dockerfile::File& file;
  const Request& request;
  const OpContext& context;
  const OpenContext& open_context;
  const GlobalVariables& globals;
  VertexIds& ids;
  Plan& plan;
  /// The vertex of what COPY --from names, seen from stage `index`.
  std::function<Result<std::size_t>(const std::string& from, std::size_t index, const dockerfile::Source& source)>
      source_stage;
  /// The folder of a context that was named on the command line; null for everything else.
  std::function<Result<std::shared_ptr<Context>>(const std::string& from)> source_folder;
  /// The vertex of nothing.
  std::function<std::size_t()> scratch;
  bool no_cache = false;                          ///< of this stage: every step is run again
  std::shared_ptr<CacheableStep> cacheable = {};  ///< of the step that is planned next
};

/// "[build 2/5] RUN make": counts the steps of a stage. In a build for several platforms "[linux/amd64 build 2/5] RUN
/// make", and "[linux/amd64->arm64 build 2/5] RUN make" where the stage has asked what it builds for.
struct StepNames {
  std::optional<oci::Platform> platform;  ///< shown when it is set
  std::string stage;                      ///< "build ", "stage-1 " or "" when only one stage is built
  int total = 0;
  int next = 1;
  [[nodiscard]] std::string take(std::string_view text, const Environment& environment = {});
};

[[nodiscard]] bool makes_step(const dockerfile::Instruction& instruction);

/// Plans `instruction` of stage `index` on top of `state`.
[[nodiscard]] Status plan_instruction(const dockerfile::Instruction& instruction, std::size_t index, StageState& state,
                                      StepNames& names, StageTools& tools);

/// A vertex for what `source` asks for, shown as `name`; in a build for several platforms the one that another has for
/// the same `twin` upon the same inputs.
[[nodiscard]] std::size_t step_vertex(StageTools& tools, const dockerfile::Source& source, std::string name,
                                      std::vector<solver::Input> inputs, Twins::Spec twin,
                                      const std::function<std::shared_ptr<solver::Op>(Place)>& make_op);

/// Adds a vertex that is shown as `place`.
[[nodiscard]] std::size_t add_vertex(Plan& plan, Place place, std::shared_ptr<solver::Op> op,
                                     std::vector<solver::Input> inputs, bool ignore_records);

}  // namespace slipway::build
