// Capabilities and system calls of a step: Docker's defaults, or those of --security=insecure.
#pragma once

namespace slipway::init {

/// Takes everything but Docker's fourteen default capabilities out of the bounding set and empties the ambient one.
/// Gives 0, or -1 with errno.
int bound_capabilities();

/// Effective and permitted become Docker's default set, or nothing; inheritable becomes empty (CVE-2022-24769).
int set_capabilities(bool docker_default);

/// --security=insecure: every capability of this user namespace in all five sets, also for a uid that is not 0; call
/// keep_capabilities() before becoming that uid. The bounding set is left as it is.
int raise_all_capabilities();
int keep_capabilities();

/// Installs Docker's default filter. Needs CAP_SYS_ADMIN in this user namespace: no_new_privs stays off, as in Docker,
/// so that set-user-ID programs of the image work.
int install_filter();
/// --security=insecure: only what no namespace covers is refused, the kernel's keyrings.
int install_small_filter();

}  // namespace slipway::init
