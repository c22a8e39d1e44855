// Image configs out of any bytes: no crash, and what make() writes is what parse() reads.
#include <cstdint>
#include <cstdlib>

#include "oci/image.hpp"

using namespace slipway::oci;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = ImageConfig::parse(std::string(reinterpret_cast<const char*>(data), size));
  if (!config) return 0;
  const ImageConfig made = ImageConfig::make(config->view());
  if (made.raw().size() > static_cast<std::size_t>(kConfigLimit)) return 0;  // escapes make it longer
  const auto again = ImageConfig::parse(made.raw());
  if (!again || again->view() != made.view()) std::abort();
  if (ImageConfig::make(again->view()).raw() != made.raw()) std::abort();
  (void)config->view().platform.text();
  return 0;
}
