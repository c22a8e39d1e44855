#include "registry/config_file.hpp"

#include "base/text.hpp"
#include "oci/json.hpp"
#include "sys/file.hpp"

namespace slipway::registry {
namespace {

constexpr std::int64_t kConfigFileLimit = 1 << 20;

constexpr std::pair<const char*, const char*> kProxies[] = {{"httpProxy", "HTTP_PROXY"},
                                                            {"httpsProxy", "HTTPS_PROXY"},
                                                            {"ftpProxy", "FTP_PROXY"},
                                                            {"noProxy", "NO_PROXY"},
                                                            {"allProxy", "ALL_PROXY"}};

using Pairs = std::vector<std::pair<std::string, std::string>>;

Result<Pairs> proxies_of(std::string_view text, const std::string& daemon) {
  const oci::Json document = TRY(oci::Json::parse(text));
  TRY(document.require_object());
  Pairs own, general;
  bool found = false;
  for (const oci::Json entry : TRY(document.map("proxies"))) {
    const bool this_one = entry.key() == daemon;
    if (!this_one && entry.key() != "default") continue;
    TRY(entry.require_object());
    Pairs& into = this_one ? own : general;
    found = found || this_one;
    for (const auto& [member, variable] : kProxies) {
      const std::string value = TRY(entry.string(member));
      if (value.empty()) continue;
      into.emplace_back(variable, value);
      into.emplace_back(lower(variable), value);
    }
  }
  return found ? own : general;
}

}  // namespace

std::string config_path(const Environment& environment) {
  if (const auto directory = environment("DOCKER_CONFIG"); directory && !directory->empty())
    return *directory + "/config.json";
  if (const auto home = environment("HOME"); home && !home->empty()) return *home + "/.docker/config.json";
  return {};
}

Result<std::optional<std::string>> read_config(const std::string& path) {
  auto text = sys::read_file(path, kConfigFileLimit);
  if (text) return *std::move(text);
  if (text.error().code() == Code::kNotFound) return std::nullopt;
  return std::unexpected(std::move(text).error());
}

Result<Pairs> configured_proxies(const Environment& environment) {
  const std::string path = config_path(environment);
  if (path.empty()) return Pairs();
  const auto text = TRY(read_config(path));
  if (!text || trim(*text).empty()) return Pairs();
  std::string daemon = environment("DOCKER_HOST").value_or("");
  if (daemon.empty()) daemon = "unix:///var/run/docker.sock";
  return TRY(context(proxies_of(*text, daemon), "while reading the proxies of {}", printable(path)));
}

}  // namespace slipway::registry
