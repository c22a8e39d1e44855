#include "sandbox/knobs.hpp"

#include <cerrno>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {
namespace {

std::string sysctl(const char* path) {
  const auto text = sys::read_file(std::string("/proc/sys/") + path, 256);
  return text ? std::string(trim(*text)) : std::string();
}

}  // namespace

std::string user_namespace_knob(int number) {
  if (number == ENOSPC || number == EUSERS || sysctl("user/max_user_namespaces") == "0")
    return fmt::format("sysctl user.max_user_namespaces is {}: raise it (15000 is common)",
                       sysctl("user/max_user_namespaces"));
  if (sysctl("kernel/unprivileged_userns_clone") == "0") return "set sysctl kernel.unprivileged_userns_clone=1";
  if (sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1")
    return "set sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give slipway an AppArmor profile with "
           "`userns,`";
  if (number == EINVAL) return "the kernel was built without user namespaces, or threads were running already";
  return "a seccomp or AppArmor profile around this job refuses it: docker run --security-opt seccomp=unconfined "
         "--security-opt apparmor=unconfined, or Kubernetes securityContext.seccompProfile Unconfined";
}

}  // namespace slipway::sandbox
