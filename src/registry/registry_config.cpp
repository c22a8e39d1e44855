#include "registry/registry_config.hpp"

#include <algorithm>

#include "base/address.hpp"
#include "base/text.hpp"
#include "oci/json.hpp"
#include "oci/reference.hpp"
#include "registry/config_file.hpp"

namespace slipway::registry {
namespace {

constexpr std::string_view kDockerIo = "docker.io";
constexpr std::size_t kMostEntries = 1000;

/// The words between blanks and commas.
std::vector<std::string> words_of(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == ',' || c == '\t' || c == '\n'; }, ' ');
  std::vector<std::string> words;
  for (const auto word : split(text, ' '))
    if (!word.empty()) words.emplace_back(word);
  return words;
}

Status add_all(const std::vector<std::string>& mirrors, const std::vector<std::string>& names, RegistryRules& rules,
               std::vector<InsecureRegistry>& insecure) {
  if (mirrors.size() > kMostEntries || names.size() > kMostEntries)
    return fail(Code::kOutOfRange, "it names more than {} registries", kMostEntries);
  for (const auto& text : mirrors) add_mirror(rules, TRY(MirrorOf::parse(text)));
  for (const auto& text : names) insecure.push_back(TRY(InsecureRegistry::parse(text)));
  return {};
}

/// Where a file may be, the first counts.
std::vector<std::string> places(const Environment& environment) {
  if (const auto named = environment("SLIPWAY_REGISTRY_CONFIG"))
    return named->empty() ? std::vector<std::string>() : std::vector{*named};
  std::vector<std::string> all;
  std::string config = environment("XDG_CONFIG_HOME").value_or("");
  const std::string home = environment("HOME").value_or("");
  if (!config.starts_with('/') && home.starts_with('/')) config = home + "/.config";
  if (config.starts_with('/')) all.push_back(config + "/slipway/registries.json");
  all.emplace_back("/etc/slipway/registries.json");
  all.emplace_back("/etc/docker/daemon.json");
  return all;
}

}  // namespace

Result<MirrorOf> MirrorOf::parse(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return MirrorOf{std::string(kDockerIo), TRY(Mirror::parse(text))};
  const std::string name(text.substr(0, equals));
  // By the grammar of names: "registry.example:5000/x" speaks of that registry, "hub/x" of docker.io.
  const auto reference = oci::Reference::parse(name + "/x");
  if (!reference || (reference->registry() != name && name != "index.docker.io"))
    return fail(Code::kInvalidArgument, "{} is no registry; write HOST[:PORT]=URL", quoted_address(name));
  return MirrorOf{reference->registry(), TRY(Mirror::parse(text.substr(equals + 1)))};
}

void add_mirror(RegistryRules& rules, const MirrorOf& made) {
  auto& mirrors = rules[made.registry].mirrors;
  if (std::find(mirrors.begin(), mirrors.end(), made.mirror) == mirrors.end()) mirrors.push_back(made.mirror);
}

Status parse_registry_config(std::string_view text, RegistryRules& rules, std::vector<InsecureRegistry>& insecure) {
  const oci::Json document = TRY(oci::Json::parse(text));
  TRY(document.require_object());
  const auto texts = [&](std::string_view name) -> Result<std::vector<std::string>> {
    const auto found = document.find(name);
    if (!found) return std::vector<std::string>();
    return found->as_strings();
  };
  return add_all(TRY(texts("registry-mirrors")), TRY(texts("insecure-registries")), rules, insecure);
}

Status read_registry_config(const Environment& environment, RegistryRules& rules,
                            std::vector<InsecureRegistry>& insecure) {
  const auto variable = [&](const char* name) { return words_of(environment(name).value_or("")); };
  TRY(context(add_all(variable("SLIPWAY_REGISTRY_MIRROR"), {}, rules, insecure),
              "while reading SLIPWAY_REGISTRY_MIRROR"));
  TRY(context(add_all({}, variable("SLIPWAY_INSECURE_REGISTRY"), rules, insecure),
              "while reading SLIPWAY_INSECURE_REGISTRY"));
  for (const auto& path : places(environment)) {
    const auto text = TRY(read_config(path));
    if (!text) {
      if (environment("SLIPWAY_REGISTRY_CONFIG"))
        return fail(Code::kNotFound, "SLIPWAY_REGISTRY_CONFIG names {}, which is not there", quoted(path, 300));
      continue;
    }
    if (trim(*text).empty()) return {};
    return context(parse_registry_config(*text, rules, insecure), "while reading {}", printable(path));
  }
  return {};
}

}  // namespace slipway::registry
