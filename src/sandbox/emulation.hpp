// Emulation: whether programs of another architecture run in steps of this machine, and by what.
//
// It is tried by doing it: a program that does nothing is run in a step whose root holds nothing else, so that an
// interpreter which is only found outside of steps does not count. The kernel's table then says why.
#pragma once

#include <string>
#include <string_view>

#include "sandbox/binfmt.hpp"

namespace slipway::sandbox {

struct Emulation {
  enum class How : unsigned char {
    kNative,    ///< by the processor
    kEmulated,  ///< by an interpreter: correct and slow
    kNone,      ///< not at all
  };
  How how = How::kNone;
  std::string by;       ///< kEmulated: the interpreter, as far as it is known
  std::string reason;   ///< kNone: why
  std::string knob;     ///< kNone: what to change
  bool broken = false;  ///< kNone: although there is a handler that should
};

/// This machine's architecture, as OCI calls it.
[[nodiscard]] std::string own_architecture();

/// What a trial and the table say together. `ran`: the trial's program ended well.
[[nodiscard]] Emulation explain_emulation(std::string_view architecture, bool ran, const BinfmtTable& table);

/// Whether the processor family runs programs of `architecture` where its kernel lets it: 386 on amd64, arm on arm64.
[[nodiscard]] bool is_sibling(std::string_view architecture);

}  // namespace slipway::sandbox
