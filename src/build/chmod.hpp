// Modes of --chmod: octal, or symbolic as in BSD's chmod(1) ("u=rwX,go=rX").
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace slipway::build {

class ModeChange {
 public:
  /// Errors: "invalid chmod parameter: 'V'. it should be octal string and between 0 and 07777".
  static Result<ModeChange> parse(const std::string& text);
  /// The new permission bits (07777) for a file with `mode` (type bits included: X looks at them).
  [[nodiscard]] mode_t apply(mode_t mode) const;
  [[nodiscard]] bool octal() const { return octal_.has_value(); }

 private:
  struct Clause {
    mode_t who = 0;  // mask of rwx bits it may touch, with set-id and sticky bits
    char op = '=';
    mode_t bits = 0;
    bool conditional_x = false;
    char copy_from = 0;  // 'u', 'g' or 'o'
  };
  std::optional<mode_t> octal_;
  std::vector<Clause> clauses_;
};

}  // namespace slipway::build
