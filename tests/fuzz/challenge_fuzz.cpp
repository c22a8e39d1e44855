// WWW-Authenticate out of any bytes: no crash, and only what was there comes out.
#include <cstdint>
#include <cstdlib>

#include "registry/challenge.hpp"

using namespace slipway::registry;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::size_t total = 0;
  for (const auto& challenge : parse_challenges(text)) {
    if (challenge.scheme.empty()) std::abort();
    total += challenge.scheme.size();
    for (const auto& [name, value] : challenge.parameters) {
      if (name.empty()) std::abort();
      for (const char c : name)
        if (c >= 'A' && c <= 'Z') std::abort();
      total += name.size() + value.size();
    }
  }
  if (total > size) std::abort();
  return 0;
}
