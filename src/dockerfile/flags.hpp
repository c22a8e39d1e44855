// Flags of an instruction: `--name=value` words read against the names that the instruction knows.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::dockerfile {

struct FlagRule {
  enum class Type : unsigned char { kText, kList, kBool };
  std::string_view name;
  Type type = Type::kText;
};

class Flags {
 public:
  /// Errors: `unknown flag: --x (did you mean y?)`, `duplicate flag specified: --x`, `missing a value on flag: --x`,
  /// `expecting boolean value for flag --x, not: v`.
  static Result<Flags> parse(const std::vector<std::string>& words, std::span<const FlagRule> rules);

  [[nodiscard]] std::string text(std::string_view name) const;  ///< empty when absent
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view name) const;

 private:
  struct Value {
    std::string_view name;  // of the rule, whose names outlive every Flags
    std::string text;
  };
  std::vector<Value> values_;
};

/// ` (did you mean X?)` for the known name that `word` seems to mean, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace slipway::dockerfile
