#include "sandbox/emulation.hpp"

#include "base/text.hpp"
#include "oci/platform.hpp"
#include "sandbox/elf.hpp"

namespace slipway::sandbox {
namespace {

constexpr std::string_view kInstall =
    "install an emulator: Debian's qemu-user-static with binfmt-support, or another that registers its handlers with "
    "the flag F";

Emulation none(std::string reason, std::string_view knob) {
  return {.how = Emulation::How::kNone, .by = {}, .reason = std::move(reason), .knob = std::string(knob)};
}

Emulation natively() { return {.how = Emulation::How::kNative, .by = {}, .reason = {}, .knob = {}}; }

Emulation emulated(std::string by) {
  return {.how = Emulation::How::kEmulated, .by = std::move(by), .reason = {}, .knob = {}};
}

/// Why a handler that takes the program did not run it.
Emulation failed(const BinfmtEntry& entry, bool table_enabled) {
  const std::string name = printable(entry.name, 100), interpreter = printable(entry.interpreter, 200);
  if (!table_enabled)
    return none("binfmt_misc is switched off", "switch it on: echo 1 > /proc/sys/fs/binfmt_misc/status");
  if (!entry.enabled)
    return none(fmt::format("the handler {} of binfmt_misc is disabled", name),
                fmt::format("enable it: echo 1 > /proc/sys/fs/binfmt_misc/{}", name));
  if (!entry.flags.contains('F'))
    return none(
        fmt::format("the handler {} of binfmt_misc has no flag F: its interpreter {} is not found inside of steps",
                    name, interpreter),
        "register it with the flag F and a static interpreter, as Debian's qemu-user-static does");
  return none(fmt::format("the interpreter {} of the handler {} failed", interpreter, name),
              "its package has to be a static build for this machine; reinstall it");
}

}  // namespace

bool is_sibling(std::string_view architecture) {
  return (own_architecture() == "amd64" && architecture == "386") ||
         (own_architecture() == "arm64" && architecture == "arm");
}

std::string own_architecture() { return oci::Platform::host().architecture; }

Emulation explain_emulation(std::string_view architecture, bool ran, const BinfmtTable& table) {
  const std::string program = exit_program(architecture);
  if (program.empty()) return none("nothing is known of this architecture", "");
  const BinfmtEntry* entry = table.find(program);
  if (ran) {
    if (architecture == own_architecture()) return natively();
    if (entry != nullptr && entry->enabled && table.enabled) return emulated(printable(entry->interpreter, 200));
    return is_sibling(architecture) ? natively() : emulated("an interpreter that the kernel does not name here");
  }
  if (!table.visible) return none(fmt::format("the kernel does not run {} programs", architecture), kInstall);
  if (entry == nullptr) return none(fmt::format("no handler of binfmt_misc takes {} programs", architecture), kInstall);
  Emulation out = failed(*entry, table.enabled);
  out.broken = true;
  return out;
}

}  // namespace slipway::sandbox
