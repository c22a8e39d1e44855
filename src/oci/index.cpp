#include <algorithm>
#include <limits>

#include "base/text.hpp"
#include "oci/canonical_json.hpp"
#include "oci/descriptor.hpp"
#include "oci/image.hpp"
#include "oci/json.hpp"

// The order of members is that of Go's ocispec.Index: schemaVersion, mediaType, artifactType, manifests, subject,
// annotations; Docker's manifest list is the same.

namespace slipway::oci {
namespace {

bool is_image(const Descriptor& entry) {
  return (media_type::is_manifest(entry.media_type) || media_type::is_index(entry.media_type)) &&
         !is_attestation(entry);
}

/// "linux/amd64, linux/arm64", for an error; cut where it would not be read.
std::string platforms_of(const std::vector<Descriptor>& entries) {
  constexpr std::size_t kShown = 12;
  std::vector<std::string> names;
  for (const Descriptor& entry : entries) {
    if (!is_image(entry) || !entry.platform) continue;
    if (names.size() == kShown) {
      names.emplace_back("…");
      break;
    }
    std::string name = entry.platform->text();
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  return names.empty() ? "no image" : join(names, ", ");
}

}  // namespace

bool is_attestation(const Descriptor& entry) {
  const auto type = entry.annotations.find("vnd.docker.reference.type");
  return type != entry.annotations.end() && type->second == "attestation-manifest";
}

Result<Index> Index::parse(std::string raw, std::string_view media_type) {
  const auto read = [&]() -> Result<Index> {
    const Json document = TRY(Json::parse(raw, {.bytes = kManifestLimit}));
    Index out;
    out.media_type_ = TRY(agreed_media_type(document, media_type, media_type::kOciIndex, media_type::kDockerList));
    TRY(document.refuse_lookalikes({"schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations",
                                    "config", "layers", "fsLayers"}));
    TRY(refuse_members(document, {"config", "layers"}));
    const Json::Range list = TRY(document.list("manifests"));
    if (list.size() > kIndexEntryLimit) {
      return fail(Code::kResourceExhausted, "the index has {} entries; at most {} are taken", list.size(),
                  kIndexEntryLimit);
    }
    out.manifests_.reserve(list.size());
    for (const Json entry : list) out.manifests_.push_back(TRY(read_descriptor(entry)));
    out.annotations_ = TRY(read_string_map(document, "annotations"));
    return out;
  };
  Index out = TRY(context(read(), "while reading an image index"));
  out.raw_ = std::move(raw);
  return out;
}

Index Index::make(Family family, std::vector<Descriptor> manifests, std::map<std::string, std::string> annotations) {
  Index out;
  out.media_type_ = family == Family::kDocker ? media_type::kDockerList : media_type::kOciIndex;
  JsonWriter json;
  json.begin_object();
  json.member("schemaVersion", 2);
  json.member("mediaType", out.media_type_);
  json.key("manifests");
  json.begin_array();
  for (const Descriptor& entry : manifests) write_descriptor(json, entry);
  json.end_array();
  json.nonempty("annotations", annotations);
  json.end_object();
  out.raw_ = json.take();
  out.manifests_ = std::move(manifests);
  out.annotations_ = std::move(annotations);
  return out;
}

Descriptor Index::descriptor() const {
  return {.media_type = media_type_, .digest = digest(), .size = static_cast<std::int64_t>(raw_.size())};
}

Result<Descriptor> Index::select(const Platform& wanted) const {
  constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max() - 1;  // no platform: after all that match
  const Descriptor* best = nullptr;
  std::size_t best_rank = std::numeric_limits<std::size_t>::max();
  for (const Descriptor& entry : manifests_) {
    if (!is_image(entry)) continue;
    const auto rank = entry.platform ? wanted.rank(*entry.platform) : std::optional(kUnknown);
    if (!rank || *rank >= best_rank) continue;
    best = &entry;
    best_rank = *rank;
  }
  if (best == nullptr) {
    return fail(Code::kNotFound, "no image for {} in the index; it has {}", wanted.text(), platforms_of(manifests_));
  }
  return *best;
}

}  // namespace slipway::oci
