#include "distribution/document.hpp"

#include "base/text.hpp"
#include "oci/descriptor.hpp"
#include "oci/image.hpp"
#include "oci/json.hpp"

namespace slipway::distribution {
namespace {

/// Layers that stay where they came from (image-spec layer.md "Non-Distributable Layers"; Docker's foreign layers).
bool is_foreign(const oci::Descriptor& layer) {
  return layer.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.") ||
         layer.media_type.starts_with("application/vnd.docker.image.rootfs.foreign.");
}

Status read_image(Document& out, std::string_view bytes, std::string_view media_type) {
  const auto image = TRY(oci::Manifest::parse(std::string(bytes), media_type));
  out.manifest.media_type = image.media_type();
  out.named.push_back(image.config());
  for (const auto& layer : image.layers())
    if (!is_foreign(layer)) out.named.push_back(layer);
  for (const auto& blob : out.named) out.manifest.blobs.push_back(blob.digest);
  out.annotations = image.annotations();
  if (out.artifact_type.empty()) out.artifact_type = image.config().media_type;
  return {};
}

Status read_index(Document& out, std::string_view bytes, std::string_view media_type) {
  const auto index = TRY(oci::Index::parse(std::string(bytes), media_type));
  out.manifest.media_type = index.media_type();
  out.named = index.manifests();
  // BuildKit's build cache is an index whose entries are layers and a config of its own.
  for (const auto& entry : out.named) {
    const bool blob = !entry.media_type.empty() && !oci::media_type::is_manifest(entry.media_type) &&
                      !oci::media_type::is_index(entry.media_type);
    (blob ? out.manifest.blobs : out.manifest.manifests).push_back(entry.digest);
  }
  out.annotations = index.annotations();
  return {};
}

}  // namespace

Result<Document> read_document(std::string_view bytes, std::string_view media_type) {
  const oci::Json json = TRY(oci::Json::parse(bytes, {.bytes = static_cast<std::size_t>(oci::kManifestLimit)}));
  TRY(json.require_object());
  Document out{.manifest = {.digest = oci::Digest::of(bytes)}};
  out.artifact_type = TRY(json.string("artifactType"));
  if (const auto subject = json.find("subject")) out.manifest.subject = TRY(oci::read_descriptor(*subject)).digest;
  std::string type(media_type);
  if (type.empty() || type == "application/json") type = TRY(json.string("mediaType"));
  const bool index = type.empty() ? json.find("manifests").has_value() : oci::media_type::is_index(type);
  if (!type.empty() && !index && !oci::media_type::is_manifest(type))
    return fail(Code::kInvalidArgument, "{} is no manifest that this registry keeps: OCI's and Docker's schema 2 are",
                quoted(type, 200));
  if (index) {
    TRY(read_index(out, bytes, type));
  } else {
    TRY(read_image(out, bytes, type));
  }
  return out;
}

}  // namespace slipway::distribution
