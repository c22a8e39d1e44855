#include "dockerfile/flags.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace slipway::dockerfile {
namespace {

constexpr std::size_t kLongestName = 64;  // beyond it nobody mistyped a known name, and comparing would cost

std::vector<std::string_view> names_of(std::span<const FlagRule> rules) {
  std::vector<std::string_view> names;
  for (const auto& rule : rules) names.push_back(rule.name);
  return names;
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known) {
  if (word.size() > kLongestName) return {};
  const std::string best = nearest(word, known);
  return best.empty() ? std::string() : fmt::format(" (did you mean {}?)", best);
}

Result<Flags> Flags::parse(const std::vector<std::string>& words, std::span<const FlagRule> rules) {
  Flags flags;
  for (const std::string_view word : words) {
    const auto equals = word.find('=');
    const bool has_value = equals != std::string_view::npos;
    const std::string_view name = word.substr(2, has_value ? equals - 2 : equals);
    std::string value(has_value ? word.substr(equals + 1) : std::string_view{});
    const auto rule = std::ranges::find(rules, name, &FlagRule::name);
    if (rule == rules.end()) {
      return fail(Code::kInvalidArgument, "unknown flag: --{}{}", printable(name, 64),
                  did_you_mean(name, names_of(rules)));
    }
    const bool repeated = std::ranges::find(flags.values_, name, &Value::name) != flags.values_.end();
    if (repeated && rule->type != FlagRule::Type::kList) {
      return fail(Code::kInvalidArgument, "duplicate flag specified: --{}", name);
    }
    if (rule->type == FlagRule::Type::kBool) {
      if (has_value && value.empty()) return fail(Code::kInvalidArgument, "missing a value on flag: --{}", name);
      value = has_value ? lower(value) : "true";
      if (value != "true" && value != "false") {
        return fail(Code::kInvalidArgument, "expecting boolean value for flag --{}, not: {}", name,
                    printable(word.substr(equals + 1), 64));
      }
    } else if (!has_value) {
      return fail(Code::kInvalidArgument, "missing a value on flag: --{}", name);
    }
    flags.values_.push_back({rule->name, std::move(value)});
  }
  return flags;
}

std::string Flags::text(std::string_view name) const {
  const auto found = std::ranges::find(values_, name, &Value::name);
  return found == values_.end() ? std::string() : found->text;
}

bool Flags::has(std::string_view name) const { return std::ranges::find(values_, name, &Value::name) != values_.end(); }

std::vector<std::string> Flags::list(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& value : values_)
    if (value.name == name) out.push_back(value.text);
  return out;
}

std::optional<bool> Flags::boolean(std::string_view name) const {
  const auto found = std::ranges::find(values_, name, &Value::name);
  if (found == values_.end()) return {};
  return found->text == "true";
}

}  // namespace slipway::dockerfile
