// Fuzz target: a mode of --chmod; what it gives is only permission bits.
#include <sys/stat.h>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "build/chmod.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto change = slipway::build::ModeChange::parse(std::string(text));
  if (!change) return change.error().what().empty() ? std::abort(), 0 : 0;
  for (const mode_t mode : {mode_t{S_IFREG | 0644}, mode_t{S_IFDIR | 07777}, mode_t{S_IFREG}})
    if (change->apply(mode) > 07777) std::abort();
  return 0;
}
