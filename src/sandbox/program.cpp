#include "sandbox/program.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include "sys/file.hpp"

// The bytes of the executable that CMake built before this file.
asm(R"(
    .pushsection .rodata
    .balign 64
    .global slipway_init_begin
    .global slipway_init_end
slipway_init_begin:
    .incbin ")" SLIPWAY_INIT_PATH R"("
slipway_init_end:
    .popsection
)");
extern "C" const char slipway_init_begin[];
extern "C" const char slipway_init_end[];

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace slipway::sandbox {

Result<sys::Fd> make_sealed_file(const char* name, std::string_view bytes, unsigned flags) {
  sys::Fd file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  if (!file && errno == EINVAL && flags != 0)
    file = sys::Fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));  // before Linux 6.3
  if (!file && errno == EACCES)
    return std::unexpected(errno_error(EACCES, "cannot make an executable memory file")
                               .with_hint("sysctl vm.memfd_noexec must be 0 or 1 for steps to run"));
  if (!file) return fail_errno("cannot make a memory file");
  TRY(sys::write_all(file.get(), bytes));
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
    return fail_errno("cannot seal a memory file");
  return file;
}

Result<sys::Fd> make_program() {
  const std::string_view bytes(slipway_init_begin, static_cast<std::size_t>(slipway_init_end - slipway_init_begin));
  const sys::Fd file = TRY(make_sealed_file("slipway-init", bytes, MFD_EXEC));
  // Started by its path in /proc/self/fd, in a child whose low numbers are already replaced.
  sys::Fd high(fcntl(file.get(), F_DUPFD_CLOEXEC, 32));
  if (!high) return fail_errno("cannot duplicate a descriptor");
  return high;
}

}  // namespace slipway::sandbox
