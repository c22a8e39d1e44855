// Overlay mounts over places on the ground.
#pragma once

#include "init/arena.hpp"

namespace slipway::init {

/// A detached (or, with `one_call`, attached at /w/…) overlay over `lowers` (topmost first); `upper` and `work` null
/// for a read-only one. Gives a descriptor of its root mount. Options: userxattr (the only kind a user namespace may
/// have), volatile (nothing waits for the disk at unmount), no redirects, no metacopy, no index.
int mount_overlay(const Span<Place<Borrowed>>& lowers, const Place<Borrowed>* upper, const Place<Borrowed>* work,
                  bool one_call);

}  // namespace slipway::init
