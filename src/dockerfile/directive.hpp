// Directives: `# key=value` lines before anything else in a Dockerfile (spec section 1.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::dockerfile {

struct Directives {
  std::string syntax;   ///< the value of `syntax`, e.g. "docker/dockerfile:1"; empty when absent
  int syntax_line = 0;  ///< where it stands, for the error about a frontend that is not ours
  char escape = '\\';   ///< backslash or back-tick
  std::string check;    ///< the value of `check`, see parse_check(); empty when absent
  int check_line = 0;
  bool escape_set = false;
};

/// What `check=…` or the build-arg BUILDKIT_DOCKERFILE_CHECK asks for.
struct CheckOptions {
  bool skip_all = false;
  std::vector<std::string> skip;
  bool experimental_all = false;
  std::vector<std::string> experimental;
  bool error = false;  ///< findings fail the build
  friend bool operator==(const CheckOptions&, const CheckOptions&) = default;
};

/// "skip=RuleA,RuleB;error=true;experimental=all". Error: `invalid check option "x"`.
[[nodiscard]] Result<CheckOptions> parse_check(std::string_view value);

/// Reads `line` (no newline, leading blanks removed) into `directives`. False: it is no directive, and no later line
/// is. Errors: `only one KEY parser directive can be used`, `invalid escape token 'x' does not match ` or \`.
[[nodiscard]] Result<bool> read_directive(std::string_view line, int line_number, Directives& directives);

/// Whether the value of `syntax` (or the build-arg BUILDKIT_SYNTAX) names the language that is built in:
/// docker/dockerfile or docker/dockerfile-upstream with any tag or digest, with or without docker.io/, and
/// dockerfile.v0.
[[nodiscard]] bool is_built_in_syntax(std::string_view value);

}  // namespace slipway::dockerfile
