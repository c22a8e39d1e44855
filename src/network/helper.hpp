// The helper programs that connect a network namespace: pasta first, slirp4netns second.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "network/resolver.hpp"

namespace slipway::network {

/// An address range.
struct Prefix {
  int family = 0;  ///< AF_INET or AF_INET6
  unsigned char address[16] = {};
  unsigned length = 0;
  friend bool operator==(const Prefix&, const Prefix&) = default;
};

/// Which descriptors the helper will find at start (the sandbox's helper process decides).
struct HelperDescriptors {
  int user_namespace = 0, network_namespace = 0, ready = 0;
};

struct HelperCommand {
  std::vector<std::string> argv;  ///< argv[0] is an absolute path
  std::vector<Prefix> barred;     ///< unreachable from the namespace
  int ready_ms = 0;               ///< its deadline: pasta hangs without a usable /dev/net/tun
  std::string host_address;       ///< what stands for this machine's loopback inside; empty: nothing does
};

/// What of the machine matters to helpers: found once per Supply.
struct Machine {
  bool default_route = false;
  std::string pasta, slirp4netns;  ///< absolute paths; empty when not installed
  int tun_error = 0;               ///< errno of opening /dev/net/tun; 0: fine
  std::string gateway;             ///< IPv4 address of the default route's next hop, or empty
  Resolver resolver;
};

[[nodiscard]] Machine look_at_machine();

/// Whether steps may reach services of this machine (--add-host NAME:host-gateway).
enum class HostAccess : unsigned char { kNone, kLoopback };

/// The commands to try, best first. An empty list comes with the reason why: one clause that names the knob.
[[nodiscard]] std::vector<HelperCommand> helper_commands(const Machine& machine, const HelperDescriptors& descriptors,
                                                         std::string& reason, HostAccess access = HostAccess::kNone);

/// The next hop of the default route in the text of /proc/net/route, or empty.
[[nodiscard]] std::string default_gateway(std::string_view route);

/// What a step must not reach: this machine's own addresses (loopback ones are the step's own) and link-local ranges.
[[nodiscard]] std::vector<Prefix> barred_prefixes();

/// Whether /proc/net/route and /proc/net/ipv6_route hold a default route.
[[nodiscard]] bool has_default_route(std::string_view route, std::string_view ipv6_route);

}  // namespace slipway::network
