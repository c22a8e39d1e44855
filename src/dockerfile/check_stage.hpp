// StageChecker: the instructions of one stage, in order, with the variables each one sees.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dockerfile/check.hpp"
#include "dockerfile/check_collector.hpp"
#include "dockerfile/check_scope.hpp"
#include "dockerfile/expand.hpp"

namespace slipway::dockerfile {

class GlobalArgs;
struct StageRecord;

/// What holds at the end of a stage and is where the stages that are built from it begin.
struct StageState {
  bool env_known = true;  ///< the variables of the image below are at hand
  bool workdir_set = false;
  bool shell_set = false;
  std::vector<std::string> triggers;  ///< ONBUILD of what it is built from; they run first
};

class StageChecker {
 public:
  /// `record` may be null. All outlive the checker.
  StageChecker(const File& file, const CheckFacts& facts, const GlobalArgs& globals, Scope& scope, Collector& collector,
               StageState& state, StageRecord* record)
      : file_(file),
        facts_(facts),
        globals_(globals),
        scope_(scope),
        collector_(collector),
        state_(state),
        record_(record) {}

  /// The first error, with line and excerpt; what comes behind it is not looked at.
  [[nodiscard]] std::optional<Error> look(const Stage& stage);

  // one per instruction, for std::visit
  Status operator()(const Arg& arg);
  Status operator()(const Env& env);
  Status operator()(const Label& label);
  Status operator()(const Copy& copy);
  Status operator()(const Run& run);
  Status operator()(const Cmd& cmd);
  Status operator()(const Entrypoint& entrypoint);
  Status operator()(const Workdir& workdir);
  Status operator()(const User& user);
  Status operator()(const Expose& expose);
  Status operator()(const Volume& volume);
  Status operator()(const Shell& shell);
  Status operator()(const StopSignal& signal);
  Status operator()(const Healthcheck& check);
  Status operator()(const OnBuild&) { return {}; }
  Status operator()(const Maintainer&) { return {}; }

 private:
  Status run_triggers(const Stage& stage);
  [[nodiscard]] Lookup reporting();  ///< the scope; names that are not set become findings
  [[nodiscard]] Lookup silent() const;
  void report_undefined(std::string_view name);
  void report_secret(std::string_view instruction, const std::string& name);
  void report_legacy(const std::vector<NameValue>& pairs);
  void report_shell_form(const CommandLine& command);
  void report_port(const std::string& port);
  void report_ignored(const Copy& copy);
  void used_once(const Source*& before);
  void add(RuleId rule, std::string message) { collector_.add(rule, *place_, std::move(message)); }

  const File& file_;
  const CheckFacts& facts_;
  const GlobalArgs& globals_;
  Scope& scope_;
  Collector& collector_;
  StageState& state_;
  StageRecord* record_;
  const Source* place_ = nullptr;  // where findings point: the instruction, or FROM for what its image triggers
  std::string name_;               // of the instruction, as written
  const Source* cmd_ = nullptr;
  const Source* entrypoint_ = nullptr;
  const Source* healthcheck_ = nullptr;
};

/// The instruction's name as it was written: "Copy".
[[nodiscard]] std::string written_name(const Source& source);

}  // namespace slipway::dockerfile
