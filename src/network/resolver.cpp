#include "network/resolver.hpp"

#include <arpa/inet.h>

#include <algorithm>

#include "base/text.hpp"

namespace slipway::network {
namespace {

bool is_address(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 || inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

struct File {
  std::vector<std::string> servers, settings;
};

/// Values of unknown or broken lines are dropped: the file goes into a step as we write it, not as it came.
File parse(std::string_view text) {
  File file;
  for (const auto raw : split(text, '\n')) {
    const auto line = trim(raw);
    const auto blank = line.find_first_of(" \t");
    if (blank == std::string_view::npos) continue;
    const auto key = line.substr(0, blank);
    const std::string value(trim(line.substr(blank)));
    if (key == "nameserver" && is_address(value) && file.servers.size() < 3) file.servers.push_back(value);
    if (key == "search" || key == "domain" || key == "options") file.settings.push_back(printable(line));
  }
  return file;
}

}  // namespace

Resolver resolver_of(std::string_view resolv_conf, std::string_view resolved,
                     const std::function<bool(const std::string& address)>& is_own) {
  const File file = parse(resolv_conf);
  Resolver out;
  out.settings = file.settings;
  const auto take = [&](const std::vector<std::string>& servers) {
    for (const auto& server : servers)
      if (!is_own(server)) out.servers.push_back(server);
  };
  take(file.servers);
  if (out.servers.empty()) take(parse(resolved).servers);
  out.forward = out.servers.empty() && !file.servers.empty();
  return out;
}

std::string Resolver::text() const {
  std::string out;
  for (const auto& line : settings) out.append(line).append("\n");
  for (const auto& server : servers) out.append("nameserver ").append(server).append("\n");
  if (forward) out.append("nameserver ").append(kForward).append("\n");
  return out;
}

}  // namespace slipway::network
