#include <array>

#include "base/text.hpp"
#include "oci/image.hpp"

namespace slipway::oci::media_type {
namespace {

struct LayerType {
  std::string_view type;
  Compression compression;
};

// Also what others write and we only read: foreign and non-distributable layers, containerd's Docker zstd.
constexpr std::array<LayerType, 11> kLayerTypes = {{
    {kOciLayer, Compression::kNone},
    {kOciLayerGzip, Compression::kGzip},
    {kOciLayerZstd, Compression::kZstd},
    {kDockerLayer, Compression::kNone},
    {kDockerLayerGzip, Compression::kGzip},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", Compression::kZstd},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar", Compression::kNone},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Compression::kGzip},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", Compression::kNone},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Compression::kGzip},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", Compression::kZstd},
}};

}  // namespace

bool is_manifest(std::string_view type) { return type == kOciManifest || type == kDockerManifest; }
bool is_index(std::string_view type) { return type == kOciIndex || type == kDockerList; }

std::optional<Compression> layer_compression(std::string_view type) {
  for (const LayerType& known : kLayerTypes)
    if (known.type == type) return known.compression;
  return std::nullopt;
}

std::string of_content_type(std::string_view header) { return lower(trim(header.substr(0, header.find(';')))); }

std::string_view layer(Family family, Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return family == Family::kDocker ? kDockerLayer : kOciLayer;
    case Compression::kGzip:
      return family == Family::kDocker ? kDockerLayerGzip : kOciLayerGzip;
    case Compression::kZstd:
      return kOciLayerZstd;
  }
  return kOciLayer;
}

}  // namespace slipway::oci::media_type
