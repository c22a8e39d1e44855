#include "dockerfile/check_scope.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace slipway::dockerfile {
namespace {

// Comparing a name with all others: a help for people, never a way to keep a machine busy.
constexpr std::size_t kMostNames = 500;
constexpr std::size_t kMostSuggestions = 500;
constexpr std::size_t kLongName = 64;

}  // namespace

std::optional<std::string> Scope::find(std::string_view name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() ? std::nullopt : found->second.value;
}

bool Scope::declared(std::string_view name) const {
  const auto found = variables_.find(name);
  return found != variables_.end() && found->second.declared;
}

Scope::Variable& Scope::change(std::string_view name) {
  auto found = variables_.find(name);
  if (found == variables_.end()) found = variables_.emplace(std::string(name), Variable{}).first;
  journal_.push_back({std::string(name), found->second, 0});
  return found->second;
}

void Scope::set(std::string_view name, std::string_view value) {
  value = value.substr(0, kValueLimit);
  if (bytes_ + value.size() > kTotalLimit) value = {};
  change(name).value = value;
  journal_.back().added = value.size();
  bytes_ += value.size();
}

void Scope::declare(std::string_view name) { change(name).declared = true; }

std::string Scope::nearest_to(std::string_view name) {
  if (variables_.size() > kMostNames || name.size() > kLongName || ++suggestions_ > kMostSuggestions) return {};
  std::vector<std::string_view> names;
  for (const auto& [known, variable] : variables_)
    if (variable.value && known.size() <= kLongName) names.push_back(known);
  std::ranges::sort(names);  // of two that are equally near, the same one each time
  return nearest(name, names);
}

void Scope::undo(std::size_t mark) {
  while (journal_.size() > mark) {
    Change& change = journal_.back();
    Variable& variable = variables_.find(change.name)->second;
    bytes_ -= change.added;
    variable = std::move(change.before);
    if (!variable.value && !variable.declared) variables_.erase(variables_.find(change.name));
    journal_.pop_back();
  }
}

}  // namespace slipway::dockerfile
