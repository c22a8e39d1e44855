// What `slipway why` reads back, out of any bytes: no crash, nothing larger than its limits, and what is read is
// written again as what reads the same.
#include <cstdint>
#include <cstdlib>

#include "build/build_account.hpp"
#include "build/listing.hpp"

using namespace slipway::build;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto build = BuildAccount::decode(bytes)) {
    const auto again = BuildAccount::decode(build->encode());
    if (!again || again->encode() != build->encode()) std::abort();
  }
  if (const auto ingredients = decode_ingredients(bytes)) {
    const auto again = decode_ingredients(encode(*ingredients));
    if (!again || again->size() != ingredients->size()) std::abort();
  }
  if (const auto files = read_listing(bytes)) {
    if (files->size() > kListedFiles || files->size() > size) std::abort();
    if (first_change(*files, *files)) std::abort();
    (void)first_change({}, *files);
  }
  return 0;
}
