// A mirror without an upstream: images that this store has under the upstream's name (loaded, pulled or built here)
// become the repository's, as far as their blobs are here and theirs to use.
#include "distribution/document.hpp"
#include "distribution/mirror.hpp"
#include "image/image.hpp"
#include "oci/image.hpp"
#include "oci/reference.hpp"

namespace slipway::distribution {
namespace {

constexpr int kIndexDepth = 4;

}  // namespace

Status Mirror::take_images(const std::string& repository) {
  if (!upstream_.image_scope) return {};
  for (const store::Name& name : TRY(store_.list_names(*upstream_.image_scope))) {
    if (name.reference.empty()) continue;
    const auto parsed = oci::Reference::parse(name.reference);
    if (!parsed || parsed->registry() != upstream_.name || parsed->repository() != repository) continue;
    std::vector<std::string> tags;
    if (!parsed->tag().empty()) tags.push_back(parsed->tag());
    if (tags.empty() && TRY(repositories_.find_manifest(repository, name.target))) continue;
    if (!tags.empty()) {
      const auto known = TRY(repositories_.find_tag(repository, tags[0]));
      if (known && known->manifest.digest == name.target) continue;
    }
    TRY(take_image(*parsed, name.target, name.media_type, tags, 0));
  }
  return {};
}

Status Mirror::take_image(const oci::Reference& name, const oci::Digest& digest, const std::string& media_type,
                          const std::vector<std::string>& tags, int depth) {
  const std::string& repository = name.repository();
  const auto bytes = store_.read_blob(digest, oci::kManifestLimit);
  if (!bytes && bytes.error().code() == Code::kNotFound) return {};  // another platform's, not pulled
  if (!bytes) return std::unexpected(bytes.error());
  Document document = TRY(read_document(*bytes, media_type));
  document.manifest.digest = digest;
  document.manifest.sparse = true;
  for (const auto& blob : document.manifest.blobs) {
    if (!TRY(image::holds_named(store_, name, digest, blob, *upstream_.image_scope))) continue;
    const auto linked = repositories_.link_blob(repository, blob);
    if (!linked && linked.error().code() != Code::kNotFound) return linked;
  }
  if (depth < kIndexDepth)
    for (const auto& child : document.manifest.manifests)
      if (TRY(image::holds_named(store_, name, digest, child, *upstream_.image_scope)))
        TRY(take_image(name, child, "", {}, depth + 1));
  TRY(repositories_.put_manifest(repository, document.manifest, tags));
  return {};
}

}  // namespace slipway::distribution
