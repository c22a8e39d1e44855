#include "init/privileges.hpp"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace slipway::init {
namespace {

constexpr std::uint64_t bit(int capability) { return std::uint64_t{1} << capability; }

// moby oci/caps/defaults.go
constexpr std::uint64_t kDocker = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FSETID) | bit(CAP_FOWNER) |
                                  bit(CAP_MKNOD) | bit(CAP_NET_RAW) | bit(CAP_SETGID) | bit(CAP_SETUID) |
                                  bit(CAP_SETFCAP) | bit(CAP_SETPCAP) | bit(CAP_NET_BIND_SERVICE) |
                                  bit(CAP_SYS_CHROOT) | bit(CAP_KILL) | bit(CAP_AUDIT_WRITE);

constexpr sock_filter kFilter[] = {
#include "seccomp_default.inc"
};
constexpr sock_filter kSmallFilter[] = {
#include "seccomp_insecure.inc"
};

template <std::size_t kSize>
int install(const sock_filter (&filter)[kSize]) {
  sock_fprog program{static_cast<unsigned short>(kSize), const_cast<sock_filter*>(filter)};
  return static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

}  // namespace

int bound_capabilities() {
  for (int capability = 0; capability < 64; ++capability) {
    if ((kDocker & bit(capability)) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
      if (errno == EINVAL) break;  // past the last one that this kernel knows
      return -1;
    }
  }
  return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int set_capabilities(bool docker_default) {
  const std::uint64_t set = docker_default ? kDocker : 0;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (int half = 0; half < 2; ++half)
    data[half].effective = data[half].permitted = static_cast<std::uint32_t>(set >> (32 * half));
  return static_cast<int>(syscall(SYS_capset, &header, data));
}

int keep_capabilities() { return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0); }

int raise_all_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) < 0) return -1;
  for (auto& half : data) half.effective = half.inheritable = half.permitted;
  if (syscall(SYS_capset, &header, data) < 0) return -1;
  for (int capability = 0; capability < 64; ++capability) {
    if ((data[capability / 32].permitted >> (capability % 32) & 1U) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) return -1;
  }
  return 0;
}

int install_filter() { return install(kFilter); }
int install_small_filter() { return install(kSmallFilter); }

}  // namespace slipway::init
