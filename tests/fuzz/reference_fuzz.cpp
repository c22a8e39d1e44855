// Image names and platforms out of any bytes: no crash, and the canonical text means the same name.
#include <cstdint>
#include <cstdlib>

#include "oci/platform.hpp"
#include "oci/reference.hpp"

using namespace slipway::oci;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto name = Reference::parse(text)) {
    if (name->tag().empty() && !name->digest()) std::abort();
    if (Reference::parse(name->canonical()).value() != *name) std::abort();
    const auto familiar = Reference::parse(name->familiar());  // all hexadecimal it would be an id: then it has a tag
    if (!familiar || *familiar != *name) std::abort();
  }
  if (const auto platform = Platform::parse(text)) {
    if (!platform->accepts(*platform) || platform->normalized() != *platform) std::abort();
  }
  if (const auto digest = Digest::parse(text); digest && digest->text() != text) std::abort();
  return 0;
}
