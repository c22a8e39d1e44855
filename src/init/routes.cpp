#include "init/routes.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "init/report.hpp"

namespace slipway::init {
namespace {

/// One RTM_NEWROUTE of type "unreachable" (man 7 rtnetlink).
struct Request {
  nlmsghdr head;
  rtmsg route;
  char attributes[64];
};

void add(Request& request, unsigned short type, const void* value, unsigned short size) {
  auto* attribute = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(&request) + NLMSG_ALIGN(request.head.nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
  std::memcpy(RTA_DATA(attribute), value, size);
  request.head.nlmsg_len = NLMSG_ALIGN(request.head.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

/// 0 or the errno that the kernel acknowledges with.
int refuse(int socket, const Barred& destination) {
  Request request{};
  request.head.nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
  request.head.nlmsg_type = RTM_NEWROUTE;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  request.route.rtm_family = static_cast<unsigned char>(destination.family);
  request.route.rtm_dst_len = static_cast<unsigned char>(destination.prefix);
  request.route.rtm_table = RT_TABLE_MAIN;
  request.route.rtm_protocol = RTPROT_STATIC;
  request.route.rtm_type = RTN_UNREACHABLE;
  const std::uint32_t priority = 1;  // before what the kernel adds for addresses by itself (fe80::/64 has 256)
  add(request, RTA_DST, destination.address, destination.family == AF_INET ? 4 : 16);
  add(request, RTA_PRIORITY, &priority, sizeof priority);
  if (send(socket, &request, request.head.nlmsg_len, 0) < 0) return errno;
  struct {
    nlmsghdr head;
    nlmsgerr error;
    char rest[512];
  } reply{};
  if (recv(socket, &reply, sizeof reply, 0) < 0) return errno;
  return reply.head.nlmsg_type == NLMSG_ERROR ? -reply.error.error : EPROTO;
}

}  // namespace

void bar(const Span<Barred>& destinations) {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (socket < 0) fail(errno, "cannot talk to the kernel about routes");
  for (const Barred& destination : destinations) {
    const int error = refuse(socket, destination);
    const bool absent =
        destination.family == AF_INET6 && (error == EOPNOTSUPP || error == EAFNOSUPPORT || error == EACCES);
    if (error != 0 && error != EEXIST && !absent) fail(error, "cannot bar a route");
  }
  close(socket);
}

}  // namespace slipway::init
