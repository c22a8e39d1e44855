// Capabilities and system calls of a step: Docker's defaults.
#pragma once

namespace slipway::init {

/// Takes everything but Docker's fourteen default capabilities out of the bounding set and empties the ambient one.
/// Gives 0, or -1 with errno.
int bound_capabilities();

/// Effective and permitted become Docker's default set, or nothing; inheritable becomes empty (CVE-2022-24769).
int set_capabilities(bool docker_default);

/// Installs Docker's default filter. Needs CAP_SYS_ADMIN in this user namespace: no_new_privs stays off, as in Docker,
/// so that set-user-ID programs of the image work.
int install_filter();

}  // namespace slipway::init
