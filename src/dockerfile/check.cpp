#include "dockerfile/check.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "dockerfile/check_collector.hpp"
#include "dockerfile/check_stage.hpp"
#include "dockerfile/check_walk.hpp"

namespace slipway::dockerfile {
namespace {

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

// Rules about how things are written: they hold in every stage, whatever is built.
class TextRules {
 public:
  TextRules(const File& file, Collector& collector) : file_(file), collector_(collector) {}

  void run() {
    for (const auto& arg : file_.global_args) {
      look_at(arg.source);
      look_at_description(arg);
    }
    for (const auto& stage : file_.stages) {
      look_at(stage.from.source);
      look_at_from(stage);
      for (const auto& instruction : stage.instructions) {
        look_at(source_of(instruction));
        look_at_instruction(instruction);
      }
    }
    look_at_stage_names();
    look_at_casing();
  }

 private:
  void look_at(const Source& source) {
    if (!source.empty_continuation) return;
    const int line = source.joined_last_line;
    collector_.add_at(RuleId::kNoEmptyContinuation, source, {source.range.file, line, line}, "Empty continuation line");
  }

  void look_at_instruction(const Instruction& instruction) {
    if (const auto* arg = std::get_if<Arg>(&instruction)) look_at_description(*arg);
    if (const auto* maintainer = std::get_if<Maintainer>(&instruction)) {
      collector_.add(RuleId::kMaintainerDeprecated, maintainer->source,
                     "Maintainer instruction is deprecated in favor of using label");
    }
  }

  void look_at_from(const Stage& stage) {
    const Source& source = stage.from.source;
    if (stage.name.empty()) return;
    // what stands behind the image: AS NAME, as written
    const std::string_view text = source.text;
    const auto name_start = text.find_last_of(" \t\v\f\r") + 1;
    const std::string_view name = text.substr(name_start);
    const std::string_view before = trim(text.substr(0, name_start));
    const std::string_view as = before.substr(before.find_last_of(" \t\v\f\r") + 1);
    if (name != lower(name)) {
      collector_.add(RuleId::kStageNameCasing, source, fmt::format("Stage name '{}' should be lowercase", name));
    }
    const std::string from = written_name(source);
    const bool clash = (from == lower(from) && as != lower(as)) || (from == upper(from) && as != upper(as));
    if (clash) {
      collector_.add(RuleId::kFromAsCasing, source,
                     fmt::format("'{}' and '{}' keywords' casing do not match", as, from));
    }
    describe("FROM", {stage.name}, source);
  }

  void look_at_description(const Arg& arg) {
    std::vector<std::string> names;
    for (const auto& item : arg.items) names.push_back(item.name);
    describe("ARG", names, arg.source);
  }

  void describe(std::string_view instruction, const std::vector<std::string>& names, const Source& source) {
    const auto& comments = source.comments;
    if (comments.empty() || names.empty()) return;
    // options of these checks describe nothing, wherever they stand
    const auto last = std::ranges::find_if(comments.rbegin(), comments.rend(), [](const std::string& comment) {
      return comment_options({comment}) == CheckOptions{};
    });
    if (last == comments.rend()) return;
    if (std::ranges::find(names, last->substr(0, last->find(' '))) != names.end()) return;
    collector_.add(RuleId::kInvalidDefinitionDescription, source,
                   fmt::format("Comment for {} should follow the format: `# {} <description>`", instruction,
                               names.size() > 1 ? "<arg_key>" : names[0]));
  }

  void look_at_stage_names() {
    std::set<std::string_view> seen;
    for (const auto& stage : file_.stages) {
      if (stage.name.empty()) continue;
      if (stage.name == "scratch" || stage.name == "context") {
        collector_.add(
            RuleId::kReservedStageName, stage.from.source,
            fmt::format("Stage name should not use the same name as reserved stage {}", go_quoted(stage.name)));
      }
      if (!seen.insert(stage.name).second) {
        collector_.add(RuleId::kDuplicateStageName, stage.from.source,
                       fmt::format("Duplicate stage name {}, stage names should be unique", go_quoted(stage.name)));
      }
    }
  }

  // The majority decides; a tie is for capitals. ARGs before the first FROM have no vote, as in BuildKit.
  void look_at_casing() {
    std::vector<const Source*> sources;
    for (const auto& stage : file_.stages) {
      sources.push_back(&stage.from.source);
      for (const auto& instruction : stage.instructions) sources.push_back(&source_of(instruction));
    }
    std::ptrdiff_t balance = 0;
    for (const Source* source : sources) {
      const std::string name = written_name(*source);
      balance += name == lower(name) ? 1 : name == upper(name) ? -1 : 0;
    }
    const bool small = balance > 0;
    for (const Source* source : sources) {
      const std::string name = written_name(*source);
      if (name == (small ? lower(name) : upper(name))) continue;
      collector_.add(RuleId::kConsistentInstructionCasing, *source,
                     fmt::format("Command '{}' should match the case of the command majority ({})", name,
                                 small ? "lowercase" : "uppercase"));
    }
  }

  const File& file_;
  Collector& collector_;
};

// A Dockerfile should build as it stands, without any --build-arg.
void look_at_default_bases(const File& file, const CheckFacts& facts, Collector& collector) {
  if (!facts.is_image_name) return;
  const auto globals = GlobalArgs::evaluate(file, facts, false);
  if (!globals) return;
  for (const auto& stage : file.stages) {
    const auto image = expand_word(stage.from.image, file.directives.escape,
                                   [&](std::string_view name) { return globals->find(name); });
    if (!image) return;
    if (facts.is_image_name(*image)) continue;
    collector.add(
        RuleId::kInvalidDefaultArgInFrom, stage.from.source,
        fmt::format("Default value for ARG {} results in empty or invalid base image name", stage.from.image));
  }
}

}  // namespace

Result<CheckOptions> check_options(const File& file, const CheckFacts::Pairs& build_args) {
  const auto given = std::find_if(build_args.rbegin(), build_args.rend(),
                                  [](const auto& pair) { return pair.first == "BUILDKIT_DOCKERFILE_CHECK"; });
  if (given != build_args.rend()) {
    auto options = parse_check(given->second);
    if (options) return options;
    return fail(Code::kInvalidArgument, "failed to parse build-arg BUILDKIT_DOCKERFILE_CHECK: {}",
                options.error().what());
  }
  auto options = parse_check(file.directives.check);
  if (options) return options;
  Error error(Code::kInvalidArgument, fmt::format("failed to parse check options: {}", options.error().what()));
  const int line = file.directives.check_line;
  return std::unexpected(at(file, Source{.range = {file.name, line, line}}, std::move(error)));
}

Checked check(const File& file, const CheckFacts& facts, const CheckOptions& options) {
  Collector collector(options);
  TextRules(file, collector).run();
  look_at_default_bases(file, facts, collector);
  Walked walked = walk(file, facts, collector, KeepRecords::kNo);
  return {.findings = collector.take(),
          .left_out = collector.left_out(),
          .error = std::move(walked.error),
          .unknown_bases = std::move(walked.unknown_bases)};
}

std::optional<Error> violation(const Checked& checked, const CheckOptions& options) {
  if (!options.error || checked.findings.empty()) return std::nullopt;
  std::set<std::string_view> names;
  for (const auto& finding : checked.findings) names.insert(rule_of(finding.rule).name);
  return Error(Code::kInvalidArgument, fmt::format("lint violation found for rules: {}", fmt::join(names, ", ")));
}

std::string warning_text(const Finding& finding) {
  return fmt::format("{}: {} (line {})", rule_of(finding.rule).name, printable(finding.message),
                     finding.range.first_line);
}

}  // namespace slipway::dockerfile
