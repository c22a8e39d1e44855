#include <arpa/inet.h>
#include <gmock/gmock.h>

#include "network/helper.hpp"
#include "network/resolver.hpp"
#include "network/supply.hpp"

namespace slipway::network {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

bool loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

TEST(Resolver, KeepsServersThatAStepCanReach) {
  const Resolver resolver =
      resolver_of("search corp.example\nnameserver 10.0.0.1\nnameserver 127.0.0.1\nnameserver bad;\noptions ndots:2\n",
                  "", loopback);
  EXPECT_THAT(resolver.servers, ElementsAre("10.0.0.1"));
  EXPECT_FALSE(resolver.forward);
  EXPECT_EQ(resolver.text(), "search corp.example\noptions ndots:2\nnameserver 10.0.0.1\n");
}

TEST(Resolver, AsksSystemdResolvedForTheRealServers) {
  const Resolver resolver =
      resolver_of("nameserver 127.0.0.53\n", "nameserver 192.168.1.1\nnameserver fd00::1\n", loopback);
  EXPECT_THAT(resolver.servers, ElementsAre("192.168.1.1", "fd00::1"));
  EXPECT_FALSE(resolver.forward);
}

TEST(Resolver, ForwardsWhenTheMachineIsItsOwnServer) {
  const Resolver resolver = resolver_of("nameserver 127.0.0.1\n", "", loopback);
  EXPECT_TRUE(resolver.forward);
  EXPECT_EQ(resolver.text(), "nameserver 198.18.0.53\n");
  EXPECT_EQ(resolver_of("", "", loopback).text(), "");
}

TEST(Route, FindsADefaultRouteOfEitherFamily) {
  const char* head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
  EXPECT_FALSE(has_default_route(head, ""));
  EXPECT_TRUE(
      has_default_route(std::string(head) + "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", ""));
  EXPECT_FALSE(
      has_default_route(std::string(head) + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", ""));
  const std::string zero(32, '0');
  EXPECT_FALSE(
      has_default_route("", zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200       lo\n"));
  EXPECT_TRUE(has_default_route(
      "",
      zero + " 00 " + zero + " 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"));
}

TEST(Route, GatewayIsTheNextHopOfTheDefaultRoute) {
  const std::string head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
  EXPECT_EQ(default_gateway(head + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
                                   "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"),
            "192.0.2.1");
  EXPECT_EQ(default_gateway(head + "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"), "");
  EXPECT_EQ(default_gateway(""), "");
}

TEST(Helper, TheMachineIsReachedOnlyWhereThatIsAskedFor) {
  Machine machine{.default_route = true, .pasta = "/p", .slirp4netns = "/s", .gateway = "192.0.2.1"};
  std::string reason;
  for (const auto& command : helper_commands(machine, {5, 6, 7}, reason)) {
    EXPECT_EQ(command.host_address, "");
    EXPECT_TRUE(std::ranges::count(command.argv, "--no-map-gw") +
                    std::ranges::count(command.argv, "--disable-host-loopback") ==
                1);
  }
  const auto open = helper_commands(machine, {5, 6, 7}, reason, HostAccess::kLoopback);
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(open[0].host_address, "192.0.2.1");
  EXPECT_EQ(open[1].host_address, "10.0.2.2");
  for (const auto& command : open) {
    EXPECT_EQ(std::ranges::count(command.argv, "--no-map-gw"), 0);
    EXPECT_EQ(std::ranges::count(command.argv, "--disable-host-loopback"), 0);
  }
  machine.gateway.clear();
  machine.slirp4netns.clear();
  EXPECT_THAT(helper_commands(machine, {5, 6, 7}, reason, HostAccess::kLoopback), IsEmpty());
  EXPECT_THAT(reason, HasSubstr("no gateway"));
}

TEST(Helper, NamesTheKnobWhenThereIsNone) {
  std::string reason;
  Machine machine;
  EXPECT_THAT(helper_commands(machine, {5, 6, 7}, reason), IsEmpty());
  EXPECT_EQ(reason, "this machine has no default route");
  machine.default_route = true;
  reason.clear();
  EXPECT_THAT(helper_commands(machine, {5, 6, 7}, reason), IsEmpty());
  EXPECT_THAT(reason, HasSubstr("passt"));
  machine.pasta = "/usr/bin/pasta";
  machine.tun_error = ENOENT;
  reason.clear();
  EXPECT_THAT(helper_commands(machine, {5, 6, 7}, reason), IsEmpty());
  EXPECT_THAT(reason, HasSubstr("--device /dev/net/tun"));
}

TEST(Helper, NeverMapsTheHost) {
  Machine machine;
  machine.default_route = true;
  machine.pasta = "/usr/bin/pasta";
  machine.slirp4netns = "/usr/bin/slirp4netns";
  std::string reason;
  const auto commands = helper_commands(machine, {5, 6, 7}, reason);
  ASSERT_EQ(commands.size(), 2U);
  EXPECT_THAT(commands[0].argv, testing::IsSupersetOf({"--no-map-gw", "-t", "-u", "-T", "-U", "none"}));
  EXPECT_EQ(std::ranges::count(commands[0].argv, "none"), 4);
  EXPECT_THAT(commands[1].argv, testing::Contains("--disable-host-loopback"));
  machine.resolver.forward = true;  // slirp4netns cannot forward to an own server without its whole loopback
  EXPECT_EQ(helper_commands(machine, {5, 6, 7}, reason).size(), 1U);
}

TEST(Barred, HoldsLinkLocalRanges) {
  int link_local = 0;
  for (const auto& prefix : barred_prefixes())
    if ((prefix.family == AF_INET && prefix.length == 16) || (prefix.family == AF_INET6 && prefix.length == 10))
      ++link_local;
  EXPECT_EQ(link_local, 2);
}

}  // namespace
}  // namespace slipway::network
