// Build checks: what is allowed in a Dockerfile but likely wrong (spec section 10). Values in, values out.
//
//   CheckFacts facts{.build_args = …, .platform_args = …, .all_stages = true};
//   const CheckOptions options = TRY(check_options(file, facts.build_args));
//   const Checked checked = check(file, facts, options);
//   for (const Finding& finding : checked.findings) show(warning_text(finding));   // "Rule: message (line 3)"
//   if (auto error = violation(checked, options)) return std::unexpected(*error);  // `error=true`
//
// A rule is skipped for the whole file by the directive `# check=skip=RULE,…` or the build-arg
// BUILDKIT_DOCKERFILE_CHECK, which takes the directive's place; for one instruction by a comment `# check=skip=RULE`
// directly above it. Rules that need more than the text stay silent when CheckFacts does not have it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/check_rules.hpp"
#include "dockerfile/dockerfile.hpp"

namespace slipway::dockerfile {

struct Finding {
  RuleId rule = RuleId::kStageNameCasing;
  std::string message;  ///< holds foreign text
  SourceRange range;
};

struct PlatformName {
  std::string os, architecture;
  std::string text;  ///< "linux/arm/v7"
};

/// What is known of an image that a stage begins with.
struct BaseImage {
  std::vector<std::string> env;       ///< "NAME=value"
  std::vector<std::string> on_build;  ///< triggers
  bool has_shell = false;             ///< its config names a SHELL
  PlatformName platform;
};

/// What the text does not say. Callbacks may be empty.
struct CheckFacts {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  Pairs build_args;
  Pairs platform_args;           ///< BUILDPLATFORM … TARGETSTAGE with their values
  PlatformName target_platform;  ///< what stages without --platform are built for
  std::string target;            ///< stage name or index; empty: the last
  bool all_stages = false;       ///< also those that the target does not need
  /// The image that FROM means, when its config is at hand; `platform` as parse_platform() takes it, empty: the
  /// target's.
  std::function<std::optional<BaseImage>(const std::string& image, const std::string& platform)> base_image;
  std::function<std::optional<PlatformName>(std::string_view)> parse_platform;
  std::function<bool(std::string_view)> is_image_name;
  /// Whether --build-context gives this name a meaning of its own, before stages and images.
  std::function<bool(std::string_view)> is_named_context;
  /// Whether .dockerignore leaves out this clean relative path of the context ("." for the context itself). Empty when
  /// there is no such file or it holds `!` lines: what those bring back can not be told from names.
  std::function<bool(const std::string&)> ignored;
};

inline constexpr std::size_t kMostFindings = 1'000;

struct Checked {
  std::vector<Finding> findings;  ///< by line; at most kMostFindings
  std::size_t left_out = 0;       ///< findings beyond that
  /// The first reason why the file can not be built as it stands, with line and excerpt.
  std::optional<Error> error;
  /// Images whose config was not at hand: in stages that begin with them no variable is called undefined.
  std::vector<std::string> unknown_bases;
};

/// The file's directive, or BUILDKIT_DOCKERFILE_CHECK in its place. Errors: `failed to parse check options: …`.
[[nodiscard]] Result<CheckOptions> check_options(const File& file, const CheckFacts::Pairs& build_args);

/// Linear in the file; values of variables are cut where a hostile file would let them grow.
[[nodiscard]] Checked check(const File& file, const CheckFacts& facts, const CheckOptions& options);

/// `lint violation found for rules: A, B` when `options.error` and there is a finding.
[[nodiscard]] std::optional<Error> violation(const Checked& checked, const CheckOptions& options);

/// "Rule: message (line N)", foreign text made printable.
[[nodiscard]] std::string warning_text(const Finding& finding);

}  // namespace slipway::dockerfile
