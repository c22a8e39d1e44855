// slipway-init: the small static program that makes namespaces, assembles a step's root and is its pid 1. It is
// embedded in slipway and executed from a sealed memory file; it takes orders (orders.hpp) and has no command line.
//
// Promises: single-threaded; not dumpable, so that nothing inside can trace it or open its executable (CVE-2019-5736);
// every descriptor it opens is close-on-exec; it resolves paths of an image only after it entered the user namespace.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "init/namespaces.hpp"
#include "init/report.hpp"
#include "init/step.hpp"
#include "init/uplink.hpp"

namespace slipway::init {
namespace {

StepOrders receive() {
  struct stat info{};
  if (fstat(kOrdersFd, &info) < 0) fail(errno, "slipway-init is a part of slipway: it cannot be run by itself");
  const auto size = static_cast<std::size_t>(info.st_size);
  void* bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, kOrdersFd, 0);
  if (bytes == MAP_FAILED) fail(errno, "cannot read orders");
  close(kOrdersFd);
  Reader reader(static_cast<const char*>(bytes), size);
  std::uint32_t magic = 0, version = 0;
  reader(magic, version);
  if (magic != kMagic || version != kVersion) fail(0, "cannot read orders of version %u", version);
  StepOrders orders;
  fields(reader, orders);
  if (!reader.complete()) fail(0, "cannot read orders: they are cut off");
  return orders;
}

void carry_out(const StepOrders& orders) {
  switch (orders.job) {
    case Job::kUserNamespace:
      return make_user_namespace(orders);
    case Job::kUplink:
      return keep_uplink(orders);
    case Job::kStep:
    case Job::kProbe:
      return run_step(orders);
  }
  fail(0, "cannot carry out job %u", static_cast<unsigned>(orders.job));
}

}  // namespace
}  // namespace slipway::init

int main() {
  using namespace slipway::init;
  (void)prctl(PR_SET_NAME, "slipway-init");
  (void)prctl(PR_SET_DUMPABLE, 0);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  umask(0);
  for (int fd = kControlFd; fd <= kNetworkNamespaceFd; ++fd) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  carry_out(receive());
  return 0;
}
