#include "cli/executor/registry.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

constexpr int kFirstWait = 1000;  ///< milliseconds; doubles with each try, as kaniko does
constexpr int kLongestWait = 60'000;

/// What registries say of a tag that stays what it is.
bool is_immutable_tag(const Error& error) {
  const std::string text = error.message();
  for (const auto* known :
       {"The repository has enabled tag immutability", "cannot be overwritten because the repository is immutable",
        "cannot be overwritten because the tag is immutable"})
    if (text.contains(known)) return true;
  return false;
}

/// Whether another try could help.
bool is_final(const Error& error) {
  return error.code() == Code::kCancelled || error.code() == Code::kUsage || error.code() == Code::kInternal;
}

Result<registry::InsecureRegistry> insecure(const std::string& name) {
  auto parsed = registry::InsecureRegistry::parse(name);
  if (!parsed) return fail(Code::kUsage, "option --insecure-registry: {}", parsed.error().message());
  return parsed;
}

Result<registry::Mirror> parsed_mirror(const std::string& registry, const std::string& text) {
  auto mirror = registry::Mirror::parse(text);
  if (!mirror) return fail(Code::kUsage, "the mirror of {}: {}", printable(registry, 300), mirror.error().message());
  return mirror;
}

}  // namespace

Result<registry::ClientOptions> executor_client(const ExecutorRegistries& registries, const Session& session,
                                                RegistryWay way) {
  auto options = TRY(registry::ClientOptions::from_environment(session.environment, session.variables));
  const bool pulls = way == RegistryWay::kPull;
  registry::RegistryRule every;
  if (const auto usual = options.rules.find(registry::kEveryRegistry); usual != options.rules.end())
    every = usual->second;
  if (registries.any_certificate || (pulls && registries.any_certificate_pull))
    every.trust = std::max(every.trust, registry::Trust::kAnyCertificate);
  if (pulls ? registries.insecure_pull : registries.insecure_push) every.trust = registry::Trust::kAnybody;
  options.rules.insert_or_assign(std::string(registry::kEveryRegistry), every);
  // a registry's own rule holds in place of that for all
  const auto rule = [&](const std::string& name) -> registry::RegistryRule& {
    const auto [at, fresh] = options.rules.try_emplace(name, every);
    if (!fresh) at->second.trust = std::max(at->second.trust, every.trust);
    return at->second;
  };
  for (auto& [name, own] : options.rules) own.trust = std::max(own.trust, every.trust);
  for (const auto& name : registries.unverified)
    rule(name).trust = std::max(rule(name).trust, registry::Trust::kAnyCertificate);
  for (const auto& name : registries.insecure) options.insecure.push_back(TRY(insecure(name)));
  for (const auto& [name, file] : registries.certificates) rule(name).ca_file = file;
  for (const auto& [name, files] : registries.client_certificates) {
    rule(name).certificate_file = files.first;
    rule(name).key_file = files.second;
  }
  if (!pulls) return options;
  for (const auto& [name, mirrors] : registries.mirrors) {
    auto& own = rule(name);
    own.origin_fallback = own.origin_fallback && registries.fallback;
    std::vector<registry::Mirror> first;
    for (const auto& mirror : mirrors) first.push_back(TRY(parsed_mirror(name, mirror)));
    own.mirrors.insert(own.mirrors.begin(), first.begin(), first.end());
  }
  return options;
}

std::string kaniko_repository(const oci::Reference& name) {
  return (name.registry() == "docker.io" ? "index.docker.io" : name.registry()) + "/" + name.repository();
}

Status check_push_permissions(const registry::Client& client, const std::vector<oci::Reference>& destinations,
                              const Cancel& cancel) {
  std::set<std::string> asked;
  for (const auto& name : destinations) {
    if (!asked.insert(kaniko_repository(name)).second) continue;
    Status allowed = client.repository(name).may_push(cancel);
    if (allowed || allowed.error().code() == Code::kCancelled) {
      TRY(std::move(allowed));
      continue;
    }
    const Error& why = allowed.error();
    Error error(why.code(), fmt::format("error checking push permissions -- make sure you entered the correct tag "
                                        "name, and that you are authenticated correctly, and try again: checking push "
                                        "permission for \"{}:{}\": {}",
                                        kaniko_repository(name), name.tag(), why.message()));
    return std::unexpected(std::move(error.with_hint(why.hint())));
  }
  return {};
}

Status push_to_all(const image::Images& images, const oci::Descriptor& manifest,
                   const std::vector<oci::Reference>& destinations, const ExecutorRegistries& registries,
                   ExecutorLog& log, const Cancel& cancel) {
  for (const auto& name : destinations) {
    const std::string place = fmt::format("{}@{}", kaniko_repository(name), manifest.digest.text());
    log.info(fmt::format("Pushing image to {}:{}", kaniko_repository(name), name.tag()));
    for (int attempt = 0;; ++attempt) {
      auto pushed = images.push(manifest.digest, manifest.media_type, name, log, cancel);
      if (pushed) {
        log.info("Pushed " + place);
        break;
      }
      Error error = std::move(pushed).error();
      if (registries.ignore_immutable_tags && is_immutable_tag(error)) {
        log.info("Immutable tag error ignored for " + place);
        break;
      }
      if (attempt >= registries.push_retry || is_final(error)) {
        Error out(error.code(), fmt::format("failed to push to destination {}:{}: {}", kaniko_repository(name),
                                            name.tag(), error.message()));
        return std::unexpected(std::move(out.with_hint(error.hint())));
      }
      const int wait = std::min(kLongestWait, kFirstWait << std::min(attempt, 16));
      log.say(LogLevel::kWarn, fmt::format("Retrying operation after {}s due to {}", wait / 1000, error.message()));
      if (cancel.wait_for(wait)) return cancel.check();
    }
  }
  return {};
}

}  // namespace slipway::cli
