#include "network/helper.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::network {
namespace {

constexpr int kReadyMs = 5000;  // 45 ms where it works; a machine under load may need much more
constexpr std::int64_t kSmallFile = 1 << 20;

std::string find_program(const std::string& name) {
  // Not the caller's PATH: a helper handles what every step sends.
  for (const char* directory : {"/usr/local/bin/", "/usr/bin/", "/bin/", "/usr/local/sbin/", "/usr/sbin/", "/sbin/"})
    if (access((directory + name).c_str(), X_OK) == 0) return directory + name;
  return {};
}

Prefix prefix_of(int family, const void* address, unsigned length) {
  Prefix prefix;
  prefix.family = family;
  std::memcpy(prefix.address, address, family == AF_INET ? 4 : 16);
  prefix.length = length;
  return prefix;
}

Prefix prefix_of(int family, const char* text, unsigned length) {
  unsigned char bytes[16] = {};
  (void)inet_pton(family, text, bytes);
  return prefix_of(family, static_cast<const void*>(bytes), length);
}

/// Addresses of this machine but loopback ones, which inside a step are the step's own.
std::vector<Prefix> own_addresses() {
  std::vector<Prefix> out;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) < 0) return out;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owned(list, freeifaddrs);
  for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
    if (item->ifa_addr == nullptr) continue;
    if (item->ifa_addr->sa_family == AF_INET) {
      const auto& address = reinterpret_cast<const sockaddr_in*>(item->ifa_addr)->sin_addr;
      if ((ntohl(address.s_addr) >> 24) != 127)
        out.push_back(prefix_of(AF_INET, static_cast<const void*>(&address), 32));
    } else if (item->ifa_addr->sa_family == AF_INET6) {
      const auto& address = reinterpret_cast<const sockaddr_in6*>(item->ifa_addr)->sin6_addr;
      if (!IN6_IS_ADDR_LOOPBACK(&address)) out.push_back(prefix_of(AF_INET6, static_cast<const void*>(&address), 128));
    }
  }
  return out;
}

bool is_own(const std::string& text, const std::vector<Prefix>& own) {
  unsigned char bytes[16] = {};
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) {
    if (bytes[0] == 127 || bytes[0] == 0) return true;
    const Prefix prefix = prefix_of(AF_INET, static_cast<const void*>(bytes), 32);
    return std::ranges::find(own, prefix) != own.end();
  }
  const Prefix prefix = prefix_of(AF_INET6, text.c_str(), 128);
  return text == "::1" || text == "::" || std::ranges::find(own, prefix) != own.end();
}

HelperCommand pasta_command(const Machine& machine, const HelperDescriptors& at, HostAccess access) {
  HelperCommand command;
  command.argv = {machine.pasta, "--foreground", "--quiet",
                  // Without it, pasta started by root becomes nobody, who may enter no namespace of ours and open no
                  // /dev/net/tun of mode 0600; it gives its capabilities up by itself.
                  "--runas", "0", "--config-net", "-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-dhcp",
                  "--no-dhcpv6", "--no-ra", "-I", "eth0", "--userns",
                  fmt::format("/proc/self/fd/{}", at.user_namespace), "--netns",
                  fmt::format("/proc/self/fd/{}", at.network_namespace), "--no-netns-quit", "--pid",
                  fmt::format("/proc/self/fd/{}", at.ready)};
  // pasta can let the gateway's address stand for this machine's loopback; no host is lost: the gateway itself is only
  // a next hop.
  if (access == HostAccess::kLoopback)
    command.host_address = machine.gateway;
  else
    command.argv.emplace_back("--no-map-gw");
  if (machine.resolver.forward) command.argv.insert(command.argv.end(), {"--dns-forward", Resolver::kForward});
  return command;
}

HelperCommand slirp_command(const Machine& machine, const HelperDescriptors& at, HostAccess access) {
  HelperCommand command;
  command.argv = {machine.slirp4netns,
                  "--configure",
                  "--enable-sandbox",
                  "--enable-seccomp",
                  "--mtu=65520",
                  fmt::format("--ready-fd={}", at.ready),
                  "--netns-type=path",
                  fmt::format("--userns-path=/proc/self/fd/{}", at.user_namespace),
                  fmt::format("/proc/self/fd/{}", at.network_namespace),
                  "eth0"};
  if (access == HostAccess::kLoopback)
    command.host_address = "10.0.2.2";  // man slirp4netns
  else
    command.argv.insert(command.argv.begin() + 1, "--disable-host-loopback");
  return command;
}

std::string why_no_tun(int error) {
  if (error == ENOENT || error == ENODEV || error == ENXIO)
    return "/dev/net/tun is missing (modprobe tun; for a container: --device /dev/net/tun)";
  if (error == EPERM)
    return "the device cgroup of this container refuses /dev/net/tun (run it with --device /dev/net/tun)";
  return "/dev/net/tun may not be opened by this user (chmod 0666 /dev/net/tun, as udev does by default)";
}

}  // namespace

bool has_default_route(std::string_view route, std::string_view ipv6_route) {
  // Iface Destination Gateway Flags … Mask: all zero, and RTF_UP.
  for (const auto line : split(route, '\n')) {
    const auto words = split(line, '\t');
    if (words.size() > 7 && words[1] == "00000000" && trim(words[7]) == "00000000") return true;
  }
  // destination length source length next-hop metric … flags device; "lo" carries the kernel's own reject route.
  for (const auto line : split(ipv6_route, '\n')) {
    if (line.starts_with("00000000000000000000000000000000 00 ") && !trim(line).ends_with(" lo")) return true;
  }
  return false;
}

Machine look_at_machine() {
  Machine machine;
  const auto text = [](const char* path) { return sys::read_file(path, kSmallFile).value_or(std::string()); };
  machine.default_route =
      has_default_route(text("/proc/thread-self/net/route"), text("/proc/thread-self/net/ipv6_route"));
  machine.gateway = default_gateway(text("/proc/thread-self/net/route"));
  machine.pasta = find_program("pasta");
  machine.slirp4netns = find_program("slirp4netns");
  const auto tun = sys::open("/dev/net/tun", O_RDWR);
  machine.tun_error = tun ? 0 : tun.error().sys_errno();
  const auto own = own_addresses();
  machine.resolver = resolver_of(text("/etc/resolv.conf"), text("/run/systemd/resolve/resolv.conf"),
                                 [&](const std::string& address) { return is_own(address, own); });
  return machine;
}

std::vector<Prefix> barred_prefixes() {
  std::vector<Prefix> out = own_addresses();
  out.push_back(prefix_of(AF_INET, "169.254.0.0", 16));
  out.push_back(prefix_of(AF_INET6, "fe80::", 10));
  out.push_back(prefix_of(AF_INET6, "fe80::", 64));  // what the kernel adds itself for every device
  return out;
}

std::string default_gateway(std::string_view route) {
  for (const auto line : split(route, '\n')) {
    const auto words = split(line, '\t');
    if (words.size() <= 7 || words[1] != "00000000" || trim(words[7]) != "00000000") continue;
    std::uint32_t address = 0;  // as the kernel holds it: network order
    const auto end = std::from_chars(words[2].data(), words[2].data() + words[2].size(), address, 16);
    char text[INET_ADDRSTRLEN];
    if (end.ec == std::errc() && address != 0 && inet_ntop(AF_INET, &address, text, sizeof text) != nullptr)
      return text;
  }
  return {};
}

std::vector<HelperCommand> helper_commands(const Machine& machine, const HelperDescriptors& descriptors,
                                           std::string& reason, HostAccess access) {
  std::vector<HelperCommand> out;
  if (!machine.default_route)
    reason = "this machine has no default route";
  else if (machine.pasta.empty() && machine.slirp4netns.empty())
    reason = "neither pasta (package passt) nor slirp4netns is installed";
  else if (machine.tun_error != 0)
    reason = why_no_tun(machine.tun_error);
  if (!reason.empty()) return out;
  const bool nameless = access == HostAccess::kLoopback && machine.gateway.empty();  // pasta has no address for it then
  if (!machine.pasta.empty() && !nameless) out.push_back(pasta_command(machine, descriptors, access));
  if (!machine.slirp4netns.empty() && !machine.resolver.forward)
    out.push_back(slirp_command(machine, descriptors, access));
  if (out.empty() && nameless) reason = "the default route has no gateway whose address could stand for this machine";
  for (auto& command : out) command.ready_ms = kReadyMs;
  return out;
}

}  // namespace slipway::network
