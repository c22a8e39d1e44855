#include "cli/registry_options.hpp"

#include "registry/registry_config.hpp"

namespace slipway::cli {
namespace {

template <class T>
Result<T> as_usage(Result<T> result, std::string_view option) {
  if (result) return result;
  return fail(Code::kUsage, "option --{}: {}", option, result.error().what());
}

}  // namespace

Status apply_registry_options(const Arguments& arguments, registry::ClientOptions& options) {
  registry::RegistryRules rules;
  for (const auto& text : arguments.values(kRegistryMirrorOption.name))
    registry::add_mirror(rules, TRY(as_usage(registry::MirrorOf::parse(text), kRegistryMirrorOption.name)));
  for (auto& [name, rule] : rules) {
    auto& there = options.rules[name];
    for (const auto& mirror : std::exchange(there.mirrors, std::move(rule.mirrors)))
      registry::add_mirror(options.rules, {name, mirror});
  }
  for (const auto& text : arguments.values(kInsecureRegistryOption.name))
    options.insecure.push_back(TRY(as_usage(registry::InsecureRegistry::parse(text), kInsecureRegistryOption.name)));
  return {};
}

}  // namespace slipway::cli
