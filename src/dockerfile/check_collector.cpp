#include "dockerfile/check_collector.hpp"

#include <algorithm>

#include "dockerfile/directive.hpp"

namespace slipway::dockerfile {
namespace {

bool names(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

bool allows(const CheckOptions& options, const Rule& rule) {
  if (rule.experimental) return options.experimental_all || names(options.experimental, rule.name);
  return !options.skip_all && !names(options.skip, rule.name);
}

}  // namespace

CheckOptions comment_options(const std::vector<std::string>& comments) {
  for (const auto& comment : comments) {
    Directives directives;
    const auto read = read_directive("#" + comment, 1, directives);
    if (!read || !*read || directives.check.empty()) continue;
    const std::string_view value = directives.check;
    return parse_check(value.substr(0, value.find(' '))).value_or(CheckOptions{});
  }
  return {};
}

bool Collector::wanted(const Rule& rule, const Source& source) const {
  const CheckOptions local = source.comments.empty() ? CheckOptions{} : comment_options(source.comments);
  if (rule.experimental) return allows(options_, rule) || allows(local, rule);
  return allows(options_, rule) && allows(local, rule);
}

void Collector::add(RuleId rule, const Source& source, std::string message, const Source* beside) {
  if (beside != nullptr && !wanted(rule_of(rule), *beside)) return;
  add_at(rule, source, source.range, std::move(message));
}

void Collector::add_at(RuleId rule, const Source& source, SourceRange range, std::string message) {
  if (wanted(rule_of(rule), source)) keep(rule, std::move(range), std::move(message));
}

void Collector::keep(RuleId rule, SourceRange range, std::string message) {
  if (findings_.size() >= kMostFindings) {
    ++left_out_;
  } else if (seen_.emplace(range.first_line, rule, message).second) {
    findings_.push_back({rule, std::move(message), std::move(range)});
  }
}

std::vector<Finding> Collector::take() {
  std::ranges::stable_sort(findings_, {}, [](const Finding& finding) { return finding.range.first_line; });
  return std::move(findings_);
}

}  // namespace slipway::dockerfile
