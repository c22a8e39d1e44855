#include "dockerfile/port.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/text.hpp"

namespace slipway::dockerfile {
namespace {

// All ports of all three protocols; a file that asks for more repeats itself.
constexpr std::size_t kMostPorts = 3 * 65536;

struct Range {
  int first = 0, last = 0;
};

std::optional<int> port_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > 65535) return {};
  return value;
}

std::optional<Range> port_range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = port_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port_number(text.substr(dash + 1));
  if (!first || !last || *last < *first) return {};
  return Range{*first, *last};
}

bool is_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  if (text.size() >= INET6_ADDRSTRLEN) return false;
  std::array<unsigned char, 16> bytes{};
  const std::string name(text);
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

// ip:host:container; an address may hold colons itself.
struct Parts {
  std::string_view address, host, container;
};

Parts parts_of(std::string_view text) {
  const auto last = text.rfind(':');
  if (last == std::string_view::npos) return {.container = text};
  Parts parts{.host = text.substr(0, last), .container = text.substr(last + 1)};
  const auto before = parts.host.rfind(':');
  if (before == std::string_view::npos) return parts;
  parts.address = parts.host.substr(0, before);
  parts.host.remove_prefix(before + 1);
  return parts;
}

Status check_address(std::string_view address) {
  if (address.empty() || is_address(address)) return {};
  return fail(Code::kInvalidArgument, "invalid IP address: {}", printable(address, 64));
}

// The host's side is published by nobody, but nonsense there is a mistake worth refusing, as BuildKit does.
Status check_host_ports(std::string_view ports, std::string_view container_ports, Range container) {
  if (ports.empty()) return {};
  const auto host = port_range(ports);
  if (!host) return fail(Code::kInvalidArgument, "invalid hostPort: {}", printable(ports, 64));
  const bool same_size = host->last - host->first == container.last - container.first;
  if (same_size || container.first == container.last) return {};
  return fail(Code::kInvalidArgument, "invalid ranges specified for container and host Ports: {} and {}",
              printable(container_ports, 64), printable(ports, 64));
}

Status append_ports(std::vector<std::string>& out, std::string_view spec) {
  Parts parts = parts_of(spec);
  const auto slash = parts.container.find('/');
  const std::string_view written = slash == std::string_view::npos ? "" : parts.container.substr(slash + 1);
  parts.container = parts.container.substr(0, slash);
  if (parts.container.empty()) {
    return fail(Code::kInvalidArgument, "invalid port: {}: no port specified", quoted(spec, 64));
  }
  const std::string protocol = written.empty() ? "tcp" : lower(written);
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") {
    return fail(Code::kInvalidArgument, "invalid port: {}: invalid proto: {}", quoted(spec, 64),
                printable(written, 64));
  }
  TRY(check_address(parts.address));
  const auto range = port_range(parts.container);
  if (!range) return fail(Code::kInvalidArgument, "invalid containerPort: {}", printable(parts.container, 64));
  TRY(check_host_ports(parts.host, parts.container, *range));
  if (out.size() + static_cast<std::size_t>(range->last - range->first) >= kMostPorts) {
    return fail(Code::kResourceExhausted, "EXPOSE names more than {} ports", kMostPorts);
  }
  for (int port = range->first; port <= range->last; ++port) out.push_back(fmt::format("{}/{}", port, protocol));
  return {};
}

}  // namespace

Result<std::vector<std::string>> parse_ports(const std::vector<std::string>& specs) {
  std::vector<std::string> ports;
  for (const auto& spec : specs) TRY(append_ports(ports, spec));
  return ports;
}

}  // namespace slipway::dockerfile
