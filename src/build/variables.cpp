#include "build/variables.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/text.hpp"
#include "dockerfile/expand_instruction.hpp"

namespace slipway::build {

Environment::Environment(const std::vector<std::string>& entries) {
  for (const auto& entry : entries) {
    const auto equals = entry.find('=');
    set(std::string_view(entry).substr(0, equals),
        equals == std::string::npos ? "" : std::string_view(entry).substr(equals + 1));
  }
}

void Environment::set(std::string_view name, std::string_view value) {
  bytes_ += value.size();
  if (const auto place = places_.find(name); place != places_.end()) {
    std::string& old = entries_[place->second].second;
    bytes_ -= old.size();
    old = value;
    set_[place->second] = ++settings_;
    return;
  }
  bytes_ += name.size();
  places_.emplace(name, entries_.size());
  entries_.emplace_back(name, value);
  set_.push_back(++settings_);
}

std::vector<std::uint32_t> Environment::order_set() const {
  std::vector<std::uint32_t> order(entries_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](std::uint32_t place) { return set_[place]; });
  return order;
}

std::optional<std::string> Environment::find(std::string_view name) const {
  const auto place = places_.find(name);
  return place == places_.end() ? std::nullopt : std::optional(entries_[place->second].second);
}

std::vector<std::string> Environment::texts() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : entries_) out.push_back(key + "=" + value);
  return out;
}

Result<GlobalVariables> GlobalVariables::evaluate(const dockerfile::File& file,
                                                  const std::vector<std::pair<std::string, std::string>>& build_args,
                                                  const oci::Platform& target, const oci::Platform& build,
                                                  std::string_view target_stage) {
  GlobalVariables globals;
  for (const auto& [name, value] : build_args) globals.build_args_[name] = value;
  for (const auto& [prefix, platform] : {std::pair("TARGET", &target), std::pair("BUILD", &build)}) {
    const std::string p = prefix;
    globals.values_.set(p + "PLATFORM", platform->full_text());
    globals.values_.set(p + "OS", platform->os);
    globals.values_.set(p + "OSVERSION", platform->os_version);
    globals.values_.set(p + "ARCH", platform->architecture);
    globals.values_.set(p + "VARIANT", platform->variant);
  }
  globals.values_.set("TARGETSTAGE", target_stage.empty() ? "default" : target_stage);
  for (const auto& [name, value] : build_args)
    if (globals.values_.find(name)) globals.values_.set(name, value);
  const dockerfile::Lookup lookup = [&](std::string_view name) { return globals.values_.find(name); };
  for (const auto& arg : file.global_args) {
    for (const auto& item : arg.items) {
      auto expanded = dockerfile::expanded(item, file.directives.escape, lookup);
      if (!expanded) return std::unexpected(dockerfile::at(file, arg.source, std::move(expanded).error()));
      if (const auto given = globals.build_arg(expanded->name))
        globals.values_.set(expanded->name, *given);
      else if (expanded->value)
        globals.values_.set(expanded->name, *expanded->value);
    }
  }
  return globals;
}

std::optional<std::string> GlobalVariables::find(std::string_view name) const { return values_.find(name); }

std::optional<std::string> GlobalVariables::build_arg(std::string_view name) const {
  const auto found = build_args_.find(name);
  return found == build_args_.end() ? std::nullopt : std::optional(found->second);
}

bool is_proxy_arg(std::string_view name) {
  constexpr std::array<std::string_view, 5> kNames = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
                                                      "all_proxy"};
  return std::find(kNames.begin(), kNames.end(), lower(name)) != kNames.end();
}

}  // namespace slipway::build
