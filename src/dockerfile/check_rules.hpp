// The rules of build checks: names, descriptions and messages are BuildKit's, because logs and skip lists hold them
// (spec section 10). docs/checks/ has a page for each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

enum class RuleId : unsigned char {
  kStageNameCasing,
  kFromAsCasing,
  kNoEmptyContinuation,
  kConsistentInstructionCasing,
  kDuplicateStageName,
  kReservedStageName,
  kJsonArgsRecommended,
  kMaintainerDeprecated,
  kUndefinedArgInFrom,
  kWorkdirRelativePath,
  kUndefinedVar,
  kMultipleInstructionsDisallowed,
  kLegacyKeyValueFormat,
  kInvalidBaseImagePlatform,
  kRedundantTargetPlatform,
  kSecretsUsedInArgOrEnv,
  kInvalidDefaultArgInFrom,
  kFromPlatformFlagConstDisallowed,
  kCopyIgnoredFile,
  kInvalidDefinitionDescription,
  kExposeProtoCasing,
  kExposeInvalidFormat,
};

struct Rule {
  RuleId id;
  std::string_view name;         ///< as in `check=skip=NAME`
  std::string_view description;  ///< one sentence on the rule, the same for every finding
  bool experimental = false;     ///< looked at only when `experimental=` names it
};

[[nodiscard]] const std::vector<Rule>& check_rules();  ///< in the order of RuleId
[[nodiscard]] const Rule& rule_of(RuleId id);
/// The page that explains the rule: "docs/checks/NAME.md".
[[nodiscard]] std::string page_of(const Rule& rule);

}  // namespace slipway::dockerfile
