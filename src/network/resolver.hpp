// Name servers for steps.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::network {

/// What a step's /etc/resolv.conf is made of.
struct Resolver {
  std::vector<std::string> servers;   ///< reachable from a step
  std::vector<std::string> settings;  ///< "search …" and "options …" lines of the machine
  bool forward = false;  ///< the machine's only servers are its own: the helper must forward kForward to them
  /// An address that stands for the machine's resolver where a helper forwards it (from the range of RFC 2544).
  static constexpr const char* kForward = "198.18.0.53";

  [[nodiscard]] std::string text() const;  ///< a resolv.conf
};

/// Reads man 5 resolv.conf. Servers that are of this machine (`is_own`; loopback ones are) can not be reached from a
/// step: 127.0.0.53 is systemd-resolved, whose real servers are in `resolved` (/run/systemd/resolve/resolv.conf).
[[nodiscard]] Resolver resolver_of(std::string_view resolv_conf, std::string_view resolved,
                                   const std::function<bool(const std::string& address)>& is_own);

}  // namespace slipway::network
