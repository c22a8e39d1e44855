// Outline: what a build of a Dockerfile can be given, without building: `--call=outline` and `--call=targets` (spec
// section 10).
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/check.hpp"
#include "dockerfile/dockerfile.hpp"

namespace slipway::dockerfile {

struct OutlineArg {
  std::string name, value;
  std::string description;  ///< of the comment `# NAME text` above
  SourceRange range;
};
/// A secret or an ssh agent.
struct OutlineNeed {
  std::string id;
  bool required = false;
  SourceRange range;
};
struct Outline {
  std::string name;  ///< of the target; empty when it has none
  std::string description;
  std::vector<OutlineArg> args;  ///< those that the target, its bases and what it copies from use; by line
  std::vector<OutlineNeed> secrets, ssh;
};

/// Errors are those of a build of the target, as far as they show in the text; with line and excerpt.
[[nodiscard]] Result<Outline> outline(const File& file, const CheckFacts& facts);

struct Target {
  std::string name;
  std::string description;
  std::string base, platform;  ///< as written
  bool is_default = false;
  SourceRange range;
};
[[nodiscard]] std::vector<Target> targets(const File& file);

}  // namespace slipway::dockerfile
