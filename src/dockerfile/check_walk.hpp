// Walk: through the stages that a build looks at, with the variables that each instruction sees. What it meets goes to
// a Collector (check.hpp) and, when asked for, into StageRecords (outline.hpp).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dockerfile/check.hpp"
#include "dockerfile/check_collector.hpp"
#include "dockerfile/check_scope.hpp"
#include "dockerfile/expand.hpp"
#include "dockerfile/mount.hpp"

namespace slipway::dockerfile {

/// Finds stages by name in constant time; find_stage() (dockerfile.hpp) has the rule.
class StageIndex {
 public:
  explicit StageIndex(const File& file);
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name, std::size_t before) const;

 private:
  std::unordered_map<std::string_view, std::vector<std::size_t>> by_name_;
  std::size_t count_ = 0;
};

/// A lookup that remembers the names it was asked for.
class Asked {
 public:
  explicit Asked(Lookup lookup) : lookup_(std::move(lookup)) {}
  [[nodiscard]] Lookup lookup();
  std::vector<std::string> found, missing;  ///< each name once, in order

 private:
  Lookup lookup_;
};

/// ARGs before the first FROM, evaluated.
struct GlobalArg {
  const ArgItem* item = nullptr;
  const Source* source = nullptr;
  std::optional<std::string> value;
  std::vector<std::string> uses;  ///< names in the default
};
class GlobalArgs {
 public:
  /// `with_build_args` false: as if no --build-arg were given, platform variables apart.
  static Result<GlobalArgs> evaluate(const File& file, const CheckFacts& facts, bool with_build_args);
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  [[nodiscard]] bool known(std::string_view name) const;  ///< declared, with or without a value, or predefined
  [[nodiscard]] std::string nearest_to(std::string_view name) const;
  [[nodiscard]] const std::vector<GlobalArg>& all() const { return all_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<GlobalArg> all_;
  std::map<std::string, bool, std::less<>> known_;
};

struct SeenArg {
  std::string name;
  std::optional<std::string> value;
  const Source* source = nullptr;
  bool from_global = false;  ///< neither default nor --build-arg: it is the ARG before the first FROM, if there is one
};
struct SeenMount {
  Mount mount;
  const Source* source = nullptr;
};
/// What an outline tells of one stage.
struct StageRecord {
  std::optional<std::size_t> base;   ///< the stage it is built from
  std::vector<std::size_t> sources;  ///< stages it copies or mounts from
  std::vector<std::string> used;     ///< variables of its FROM line
  std::vector<SeenArg> args;
  std::vector<SeenMount> mounts;  ///< secrets and ssh
};

struct Walked {
  std::optional<Error> error;  ///< the first by line
  std::vector<std::string> unknown_bases;
  std::size_t target = 0;
  std::vector<StageRecord> records;  ///< by stage
  GlobalArgs globals;
};

enum class KeepRecords : bool { kNo, kYes };
[[nodiscard]] Walked walk(const File& file, const CheckFacts& facts, Collector& collector, KeepRecords keep);

}  // namespace slipway::dockerfile
