// Scope: the variables of the stage that is looked at. One for all stages: what a stage sets is undone behind the last
// stage that is built from it, so that thousands of stages cost no copies of their environment.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace slipway::dockerfile {

class Scope {
 public:
  /// Long values are cut, and kept empty once all of them together are too much: only hostile files notice.
  static constexpr std::size_t kValueLimit = 4096;
  static constexpr std::size_t kTotalLimit = 64 << 20;

  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  void set(std::string_view name, std::string_view value);
  [[nodiscard]] bool declared(std::string_view name) const;  ///< by an ARG, with or without a value
  void declare(std::string_view name);
  /// The nearest name that is set, for "did you mean"; empty when there is none or looking would take long.
  [[nodiscard]] std::string nearest_to(std::string_view name);

  [[nodiscard]] std::size_t mark() const { return journal_.size(); }
  void undo(std::size_t mark);  ///< everything since mark() gave this

 private:
  struct Variable {
    std::optional<std::string> value;
    bool declared = false;
  };
  struct Change {
    std::string name;
    Variable before;
    std::size_t added = 0;  // bytes of the new value
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  Variable& change(std::string_view name);

  std::unordered_map<std::string, Variable, Hash, std::equal_to<>> variables_;
  std::vector<Change> journal_;
  std::size_t bytes_ = 0;  // of all values set and not undone
  std::size_t suggestions_ = 0;
};

}  // namespace slipway::dockerfile
