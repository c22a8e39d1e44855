// The embedded slipway-init as an executable of this process's own: a sealed memory file, so that nothing that runs in
// a step can ever change what the next step starts (CVE-2019-5736).
#pragma once

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace slipway::sandbox {

/// A fresh sealed copy. Its number is above all that a child's own descriptors use.
[[nodiscard]] Result<sys::Fd> make_program();

/// A sealed memory file with `bytes`, close-on-exec.
[[nodiscard]] Result<sys::Fd> make_sealed_file(const char* name, std::string_view bytes, unsigned flags = 0);

}  // namespace slipway::sandbox
