// Manifests as a registry takes them: a Content-Type, a newline, the document. What is kept says of itself what the
// bytes say, and is read again as what it was kept as.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "distribution/document.hpp"
#include "oci/image.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto newline = text.find('\n');
  if (newline == std::string_view::npos) return 0;
  const std::string_view bytes = text.substr(newline + 1);
  const auto document = distribution::read_document(bytes, text.substr(0, newline));
  if (!document) return 0;
  const auto& kept = document->manifest;
  if (kept.digest != oci::Digest::of(bytes)) std::abort();
  const bool index = oci::media_type::is_index(kept.media_type);
  if (!index && !oci::media_type::is_manifest(kept.media_type)) std::abort();
  if (index ? !kept.blobs.empty() : !kept.manifests.empty()) std::abort();
  if (document->named.size() != kept.blobs.size() + kept.manifests.size()) std::abort();
  const auto again = distribution::read_document(bytes, kept.media_type);
  if (!again || again->manifest.media_type != kept.media_type || again->named != document->named) std::abort();
  return 0;
}
