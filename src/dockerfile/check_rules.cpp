#include "dockerfile/check_rules.hpp"

#include <fmt/core.h>

namespace slipway::dockerfile {

const std::vector<Rule>& check_rules() {
  using enum RuleId;
  static const std::vector<Rule> rules = {
      {kStageNameCasing, "StageNameCasing", "Stage names should be lowercase"},
      {kFromAsCasing, "FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword"},
      {kNoEmptyContinuation, "NoEmptyContinuation", "Empty continuation lines will become errors in a future release"},
      {kConsistentInstructionCasing, "ConsistentInstructionCasing",
       "All commands within the Dockerfile should use the same casing (either upper or lower)"},
      {kDuplicateStageName, "DuplicateStageName", "Stage names should be unique"},
      {kReservedStageName, "ReservedStageName", "Reserved words should not be used as stage names"},
      {kJsonArgsRecommended, "JSONArgsRecommended",
       "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals"},
      {kMaintainerDeprecated, "MaintainerDeprecated",
       "The MAINTAINER instruction is deprecated, use a label instead to define an image author"},
      {kUndefinedArgInFrom, "UndefinedArgInFrom", "FROM command must use declared ARGs"},
      {kWorkdirRelativePath, "WorkdirRelativePath",
       "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base "
       "image changes"},
      {kUndefinedVar, "UndefinedVar", "Variables should be defined before their use"},
      {kMultipleInstructionsDisallowed, "MultipleInstructionsDisallowed",
       "Multiple instructions of the same type should not be used in the same stage"},
      {kLegacyKeyValueFormat, "LegacyKeyValueFormat",
       "Legacy key/value format with whitespace separator should not be used"},
      {kInvalidBaseImagePlatform, "InvalidBaseImagePlatform",
       "Base image platform does not match expected target platform"},
      {kRedundantTargetPlatform, "RedundantTargetPlatform",
       "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"},
      {kSecretsUsedInArgOrEnv, "SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands"},
      {kInvalidDefaultArgInFrom, "InvalidDefaultArgInFrom",
       "Default value for global ARG results in an empty or invalid base image name"},
      {kFromPlatformFlagConstDisallowed, "FromPlatformFlagConstDisallowed",
       "FROM --platform flag should not use a constant value"},
      {kCopyIgnoredFile, "CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore"},
      {kInvalidDefinitionDescription, "InvalidDefinitionDescription",
       "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is "
       "not intended to be a description comment, add an empty line or comment between the instruction and the "
       "comment.",
       true},
      {kExposeProtoCasing, "ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase"},
      {kExposeInvalidFormat, "ExposeInvalidFormat",
       "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a "
       "future release"},
  };
  return rules;
}

const Rule& rule_of(RuleId id) { return check_rules()[static_cast<std::size_t>(id)]; }

std::string page_of(const Rule& rule) { return fmt::format("docs/checks/{}.md", rule.name); }

}  // namespace slipway::dockerfile
