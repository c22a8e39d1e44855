#include "cli/registry_name.hpp"

#include <algorithm>

#include "base/address.hpp"

namespace slipway::cli {

Result<std::string> registry_name(std::string_view text) {
  std::string_view host = text;
  for (const std::string_view scheme : {"https://", "http://"})
    if (host.starts_with(scheme)) host.remove_prefix(scheme.size());
  host = host.substr(0, host.find('/'));
  const bool fine = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == ':' || c == '[' || c == ']' || c == '_';
  });
  if (!fine || (host.empty() && !text.empty()))
    return fail(Code::kUsage, "{} is no registry; write HOST or HOST:PORT", quoted_address(text));
  if (host.empty() || host == "docker.io" || host == "index.docker.io" || host == "registry-1.docker.io")
    return "docker.io";
  return std::string(host);
}

}  // namespace slipway::cli
