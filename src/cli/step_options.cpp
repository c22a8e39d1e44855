#include "cli/step_options.hpp"

#include <arpa/inet.h>

#include <algorithm>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "dockerfile/duration.hpp"

namespace slipway::cli {
namespace {

/// Go's durations ("90s", "1h30m") in milliseconds; "0" and "-1" are none.
Result<std::int64_t> parse_timeout(std::string_view text) {
  if (text == "-1") return 0;
  const auto nanoseconds = dockerfile::parse_duration(text);
  if (!nanoseconds || *nanoseconds < 0)
    return fail(Code::kUsage, "option --step-timeout is a duration as 90s or 1h30m, not {}", quoted(text, 64));
  return (*nanoseconds + 999'999) / 1'000'000;
}

/// "2MiB", "500k"; "0" and "-1" are none.
Result<std::int64_t> parse_log_limit(std::string_view option, std::string_view text) {
  if (text == "-1") return 0;
  const auto bytes = parse_human_size(text);
  if (!bytes) return fail(Code::kUsage, "{} is a size as 2MiB, not {}", option, quoted(text, 64));
  return bytes;
}

}  // namespace

Result<build::SshForward> parse_ssh(std::string_view text, const registry::Environment& environment) {
  const auto equals = text.find('=');
  build::SshForward out{.id = std::string(text.substr(0, equals)), .paths = {}};
  if (out.id.empty()) out.id = "default";
  if (equals != std::string_view::npos)
    for (const auto path : split(text.substr(equals + 1), ',')) out.paths.emplace_back(path);
  const bool own = out.paths.empty() || (out.paths.size() == 1 && out.paths[0].empty());
  if (own) out.paths = {environment("SSH_AUTH_SOCK").value_or("")};
  if (own && out.paths[0].empty())
    return std::unexpected(
        Error(Code::kUsage,
              fmt::format("option --ssh {}: there is no agent: SSH_AUTH_SOCK is not set", printable(out.id)))
            .with_hint(
                fmt::format("start one (eval $(ssh-agent); ssh-add), or name a socket or key files: --ssh {}=FILE",
                            printable(out.id))));
  if (std::ranges::any_of(out.paths, &std::string::empty))
    return fail(Code::kUsage, "option --ssh {} has an empty path", quoted(text, 256));
  return out;
}

Status add_entitlement(std::string_view text, build::Entitlements& entitlements) {
  const auto equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const bool valued = equals != std::string_view::npos;
  if (text == "network.host") {
    entitlements.network_host = true;
  } else if (text == "security.insecure") {
    entitlements.security_insecure = true;
  } else if (text == "device") {
    entitlements.all_devices = true;
  } else if (name == "device") {
    const auto fields = csv_fields(text.substr(equals + 1));
    if (!fields) return fail(Code::kUsage, "option --allow {}: {}", quoted(text, 256), fields.error().what());
    std::string alias;
    for (std::size_t i = 1; i < fields->size(); ++i) {
      if (!(*fields)[i].starts_with("alias="))
        return fail(Code::kUsage, "option --allow {}: unknown device config key {}", quoted(text, 256),
                    quoted((*fields)[i], 128));
      alias = (*fields)[i].substr(6);
    }
    if ((*fields)[0].empty()) return fail(Code::kUsage, "option --allow {} names no device", quoted(text, 256));
    if (alias.empty())
      entitlements.devices[(*fields)[0]] = "";
    else
      entitlements.devices[alias] = (*fields)[0];
  } else if (!(valued && (name == "fs" || name == "fs.read" || name == "fs.write")) && text != "buildx.local.delete") {
    const std::string near = nearest(text, {"network.host", "security.insecure", "device"});
    return fail(Code::kUsage, "option --allow: unknown entitlement {}{}", quoted(text, 128),
                near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
  return {};
}

Result<std::pair<std::string, std::string>> parse_host(std::string_view text) {
  auto at = text.find('=');
  if (at == std::string_view::npos) at = text.find(':');
  if (at == std::string_view::npos || at == 0)
    return fail(Code::kUsage, "option --add-host is NAME:IP, not {}", quoted(text, 256));
  const std::string name(text.substr(0, at));
  std::string address(text.substr(at + 1));
  const bool fine = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
  if (!fine || name.size() > 253) return fail(Code::kUsage, "option --add-host: {} is no host name", quoted(name, 256));
  if (address == sandbox::kHostGateway) return std::pair{name, address};
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  unsigned char raw[16];
  if (inet_pton(AF_INET, address.c_str(), raw) != 1 && inet_pton(AF_INET6, address.c_str(), raw) != 1)
    return fail(Code::kUsage, "option --add-host {}: {} is no IP address", quoted(text, 256), quoted(address, 64));
  return std::pair{name, address};
}

Result<sandbox::Ulimit> parse_ulimit(std::string_view text) {
  static const std::vector<std::string_view> names = {"core",    "cpu",      "data",   "fsize",      "locks",
                                                      "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                                      "rss",     "rtprio",   "rttime", "sigpending", "stack"};
  const auto equals = text.find('=');
  if (equals == std::string_view::npos)
    return fail(Code::kUsage, "option --ulimit is NAME=SOFT[:HARD], not {}", quoted(text, 128));
  sandbox::Ulimit limit;
  limit.name = text.substr(0, equals);
  if (std::find(names.begin(), names.end(), limit.name) == names.end()) {
    const std::string near = nearest(limit.name, names);
    return fail(Code::kUsage, "option --ulimit does not know {}{}", quoted(limit.name, 64),
                near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
  const auto values = split(text.substr(equals + 1), ':');
  const auto number = [&](std::string_view word) -> Result<std::int64_t> {
    if (word == "-1" || word == "unlimited") return -1;
    auto value = parse_size(word);
    if (!value) return fail(Code::kUsage, "option --ulimit {}: {} is no number", quoted(text, 128), quoted(word, 64));
    return value;
  };
  if (values.size() > 2) return fail(Code::kUsage, "option --ulimit {} has too many limits", quoted(text, 128));
  limit.soft = TRY(number(values[0]));
  limit.hard = values.size() == 2 ? TRY(number(values[1])) : limit.soft;
  if (limit.hard >= 0 && (limit.soft < 0 || limit.soft > limit.hard))
    return fail(Code::kUsage, "option --ulimit {}: the soft limit is above the hard one", quoted(text, 128));
  return limit;
}

Result<std::string> parse_cgroup_parent(std::string_view text) {
  const auto refused = [&](std::string_view why) {
    return fail(Code::kUsage, "option --cgroup-parent {}: {}", quoted(text, 256), why);
  };
  std::string out;
  if (text.size() > 1024) return refused("it is too long");
  for (const auto part : split(text, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return refused("a control group is named from the top, without \"..\"");
    if (part.size() > 255 || std::ranges::any_of(part, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
      return refused("no control group has such a name");
    out.append("/").append(part);
  }
  if (out.empty()) return refused("it names no control group");
  return out;
}

Status set_step_options(build::Request& request, const Arguments& arguments, const registry::Environment& environment) {
  for (const auto& text : arguments.values("ssh")) request.ssh.push_back(TRY(parse_ssh(text, environment)));
  for (const auto& text : arguments.values("allow")) TRY(add_entitlement(text, request.entitlements));
  for (const auto& text : arguments.values("add-host")) request.extra_hosts.push_back(TRY(parse_host(text)));
  for (const auto& [name, address] : request.extra_hosts)
    if (address == sandbox::kHostGateway && request.network == sandbox::NetworkMode::kNone)
      return fail(Code::kUsage, "option --add-host {}:host-gateway: with --network none no step reaches this machine",
                  name);
  for (const auto& text : arguments.values("ulimit")) request.ulimits.push_back(TRY(parse_ulimit(text)));
  if (const auto size = arguments.value("shm-size")) {
    auto bytes = parse_human_size(*size);
    if (!bytes)
      return std::unexpected(std::move(bytes).error().add_context("while reading --shm-size").with_code(Code::kUsage));
    if (*bytes > 0) request.shm_bytes = *bytes;
  }
  if (const auto group = arguments.value("cgroup-parent")) request.cgroup_parent = TRY(parse_cgroup_parent(*group));
  if (const auto text = arguments.value("step-timeout")) request.step_limits.timeout_ms = TRY(parse_timeout(*text));
  if (const auto text = arguments.value("step-log-limit"))
    request.step_limits.log_bytes = TRY(parse_log_limit("option --step-log-limit", *text));
  else if (const auto variable = environment("BUILDKIT_STEP_LOG_MAX_SIZE"); variable && !variable->empty())
    request.step_limits.log_bytes = TRY(parse_log_limit("BUILDKIT_STEP_LOG_MAX_SIZE", *variable));
  request.cdi_directories = arguments.values("cdi-spec-dir");
  if (request.cdi_directories.empty()) request.cdi_directories = {"/etc/cdi", "/var/run/cdi"};
  return {};
}

}  // namespace slipway::cli
