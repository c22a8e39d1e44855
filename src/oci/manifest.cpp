#include "oci/canonical_json.hpp"
#include "oci/descriptor.hpp"
#include "oci/image.hpp"
#include "oci/json.hpp"

// The order of members is that of Go's ocispec.Manifest: schemaVersion, mediaType, artifactType, config, layers,
// subject, annotations. Docker's schema 2 writes the first of them in the same order.

namespace slipway::oci {

Result<Manifest> Manifest::parse(std::string raw, std::string_view media_type) {
  const auto read = [&]() -> Result<Manifest> {
    const Json document = TRY(Json::parse(raw, {.bytes = kManifestLimit}));
    const std::string type =
        TRY(agreed_media_type(document, media_type, media_type::kOciManifest, media_type::kDockerManifest));
    TRY(document.refuse_lookalikes({"schemaVersion", "mediaType", "artifactType", "config", "layers", "subject",
                                    "annotations", "manifests", "fsLayers"}));
    TRY(refuse_members(document, {"manifests"}));
    const Json config_member = TRY(document.at("config"));
    Descriptor config = TRY(read_descriptor(config_member));
    const Json::Range list = TRY(document.list("layers"));
    if (list.size() > kLayerLimit) {
      return fail(Code::kResourceExhausted, "the image has {} layers; at most {} are taken", list.size(), kLayerLimit);
    }
    std::vector<Descriptor> layers;
    layers.reserve(list.size());
    for (const Json layer : list) layers.push_back(TRY(read_descriptor(layer)));
    Manifest out({}, type, std::move(config), std::move(layers));
    out.annotations_ = TRY(read_string_map(document, "annotations"));
    return out;
  };
  Manifest out = TRY(context(read(), "while reading an image manifest"));
  out.raw_ = std::move(raw);
  return out;
}

Manifest Manifest::make(Family family, Descriptor config, std::vector<Descriptor> layers,
                        std::map<std::string, std::string> annotations) {
  const std::string_view type = family == Family::kDocker ? media_type::kDockerManifest : media_type::kOciManifest;
  JsonWriter json;
  json.begin_object();
  json.member("schemaVersion", 2);
  json.member("mediaType", type);
  json.key("config");
  write_descriptor(json, config);
  json.key("layers");
  json.begin_array();
  for (const Descriptor& layer : layers) write_descriptor(json, layer);
  json.end_array();
  json.nonempty("annotations", annotations);
  json.end_object();
  Manifest out(json.take(), std::string(type), std::move(config), std::move(layers));
  out.annotations_ = std::move(annotations);
  return out;
}

Family Manifest::family() const { return media_type_ == media_type::kDockerManifest ? Family::kDocker : Family::kOci; }

Descriptor Manifest::descriptor() const {
  return {.media_type = media_type_, .digest = digest(), .size = static_cast<std::int64_t>(raw_.size())};
}

}  // namespace slipway::oci
