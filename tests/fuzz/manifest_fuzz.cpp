// Manifests and indexes out of any bytes: no crash, and what was understood is written and understood again.
#include <cstdint>
#include <cstdlib>

#include "oci/image.hpp"

using namespace slipway::oci;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string raw(reinterpret_cast<const char*>(data), size);
  const auto manifest = Manifest::parse(raw, "");
  const auto index = Index::parse(raw, "");
  if (manifest && index) std::abort();  // CVE-2021-41190
  if (manifest) {
    if (manifest->raw() != raw) std::abort();
    const Manifest made =
        Manifest::make(manifest->family(), manifest->config(), manifest->layers(), manifest->annotations());
    const auto again = Manifest::parse(made.raw(), made.media_type());
    if (made.raw().size() > static_cast<std::size_t>(kManifestLimit)) return 0;
    if (!again || again->config() != manifest->config() || again->layers() != manifest->layers()) std::abort();
  }
  if (index) {
    (void)index->select(Platform::host());
    const Index made = Index::make(Family::kOci, index->manifests(), index->annotations());
    if (made.raw().size() > static_cast<std::size_t>(kManifestLimit)) return 0;
    const auto again = Index::parse(made.raw(), made.media_type());
    if (!again || again->manifests() != index->manifests()) std::abort();
  }
  return 0;
}
