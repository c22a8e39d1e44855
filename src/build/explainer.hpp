// Explainer: says of every step of a build why it runs, and keeps the account that `slipway why` reads.
//
// A build in which everything was found recorded costs nothing here: what was built before is read when the first step
// misses, and what a step is made from is put together when it is to be compared or kept.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/progress.hpp"
#include "build/frontend.hpp"
#include "build/past_builds.hpp"

namespace slipway::build {

class Explainer {
 public:
  /// `project`: what tells this Dockerfile and context from others. Everything else must outlive it.
  Explainer(const Workshop& shop, const Plan& plan, const Request& request, const std::string& project,
            const Cancel& cancel);

  /// What is known of a step now that the solver has decided; thread safe. Nothing of vertices that are not shown.
  [[nodiscard]] std::optional<progress::Reason> judged(std::size_t vertex, const solver::Verdict& verdict);
  void ended(std::size_t vertex, StepAccount::Ended how);

  /// Keeps the account; `manifest` and `config` of the image that was made, if one was. Called when nothing runs any
  /// more.
  [[nodiscard]] Status note(const std::optional<oci::Digest>& manifest, const std::optional<oci::Digest>& config);

 private:
  struct Step {
    std::optional<solver::Verdict> verdict;
    bool missed = false;
    StepReason reason;
    std::string cause;  ///< the shown step that whatever stands on this one follows from
    std::optional<StepAccount::Ended> ended;
    std::vector<Ingredient> ingredients;  ///< of one that ran
  };
  /// A step's ingredients, and what is to be known of them beside.
  struct Gathered {
    std::vector<Ingredient> ingredients;
    std::map<oci::Digest, DescribedOp*> contents;  ///< and which op has their listings
    std::map<std::string, std::size_t> inputs;     ///< vertices, by input_name() of the ingredient
  };
  using Listings = std::map<oci::Digest, std::string>;

  [[nodiscard]] DescribedOp& op(std::size_t vertex) const;
  [[nodiscard]] const Place& place(std::size_t vertex) const { return plan_.places[vertex]; }
  [[nodiscard]] bool shown(std::size_t vertex) const { return !place(vertex).name.empty(); }
  [[nodiscard]] std::size_t shown_for(std::size_t vertex) const;
  [[nodiscard]] std::string text_of(std::size_t vertex) const;

  void gather(std::size_t vertex, const std::string& via, int depth, Gathered& into) const;
  void gather_input(std::size_t vertex, std::size_t input, const std::string& via, int depth, Gathered& into) const;
  [[nodiscard]] Listings list(const Gathered& gathered) const;

  void judge_hidden(std::size_t vertex, solver::Verdict::Found found);
  [[nodiscard]] StepReason reason_of(std::size_t vertex, const Gathered& gathered);
  [[nodiscard]] StepReason compared(std::size_t vertex, const StepAccount& old, const Gathered& gathered);
  [[nodiscard]] std::optional<FileChange> changed_file(const oci::Digest& before, const oci::Digest& now) const;
  [[nodiscard]] std::string cause_of(const Ingredient& input, const Gathered& gathered) const;
  void load_past();

  [[nodiscard]] StepAccount account(std::size_t vertex) const;
  [[nodiscard]] Status add_inputs(std::size_t vertex, std::vector<store::BuildInput>& inputs);

  const Workshop& shop_;
  const Plan& plan_;
  const Request& request_;
  const std::string project_;
  const Cancel& cancel_;
  std::mutex mutex_;
  std::vector<Step> steps_;  ///< by vertex
  PastBuilds past_;
  std::optional<Status> loaded_;
  std::set<std::string> texts_;  ///< text_in_stage of all steps of the plan
  Listings listings_;            ///< made in this build
};

}  // namespace slipway::build
