// What a root has of the machine: /dev, /proc and /sys, with Docker's masks.
#pragma once

#include "init/ground.hpp"
#include "init/stubs.hpp"

namespace slipway::init {

/// Mounts them on directories of the image below `root` (attached). An image where one of them is a symlink or a file
/// is refused (CVE-2019-16884, CVE-2026-41579 and their family).
void mount_machine(const StepOrders& orders, int root, const Devices& devices, StubLog& log);

}  // namespace slipway::init
