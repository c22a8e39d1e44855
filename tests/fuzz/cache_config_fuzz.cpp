// A cache that somebody else wrote: read, asked, and written again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "buildcache/lookup.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slipway::buildcache;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = CacheConfig::parse(text);
  if (!config) config = CacheConfig::parse_inline(text, {slipway::oci::Digest::of("a"), slipway::oci::Digest::of("b")});
  if (!config) return 0;
  const Lookup lookup(*std::move(config));
  std::size_t asked = 0;
  for (const auto& record : lookup.config().records()) {
    if (++asked > 64) break;
    (void)lookup.roots(record.digest);
    (void)lookup.matching(record.digest, record.inputs);
    for (const auto& result : record.results) (void)lookup.config().chain(result);
  }
  return 0;
}
