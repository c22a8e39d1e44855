// holds_named, word_to_share: what a name of this store may give out, and what a further name of its image takes along
// (image.hpp, proofs.hpp).
#include <algorithm>

#include "image/image.hpp"
#include "image/proofs.hpp"

namespace slipway::image {
namespace {

/// The blobs or documents that a document names.
Result<std::vector<oci::Digest>> named_by(const store::Store& store, const store::Name& name) {
  std::string bytes = TRY(store.read_blob(name.target, oci::kManifestLimit));
  std::vector<oci::Digest> named;
  if (oci::media_type::is_index(name.media_type)) {
    const auto index = TRY(oci::Index::parse(std::move(bytes), name.media_type));
    for (const auto& entry : index.manifests()) named.push_back(entry.digest);
  } else {
    const auto manifest = TRY(oci::Manifest::parse(std::move(bytes), name.media_type));
    for (const auto& layer : manifest.layers()) named.push_back(layer.digest);
  }
  return named;
}

Result<bool> holds(const store::Store& store, const oci::Reference& name, std::string_view word,
                   const oci::Digest& document, const oci::Digest& blob) {
  const store::Origins origins(store);
  const store::Origin named = origin_of(name, registry::Trust::kVerified);
  if (const auto own = own_origin(word, named, document)) return origins.has(*own, blob);
  return TRY(origins.has(named, blob)) || TRY(origins.has(store::Origin::image_of(named, document), blob));
}

}  // namespace

Result<bool> holds_named(const store::Store& store, const oci::Reference& name, const oci::Digest& document,
                         const oci::Digest& blob, std::string_view scope) {
  const auto row = TRY(store.find_name(scope, name));
  return holds(store, name, row ? row->word : std::string(), document, blob);
}

Result<std::string> word_to_share(const store::Store& store, std::string_view scope, const oci::Digest& target,
                                  const std::vector<std::string>& held_by) {
  std::string best;
  std::int64_t most = -1;
  for (const auto& row : TRY(store.list_names(scope))) {
    const bool counts =
        held_by.empty() ? row.reference.empty() : std::ranges::find(held_by, row.reference) != held_by.end();
    if (row.target != target || !counts) continue;
    if (row.reference.empty()) return row.word;
    const auto name = TRY(oci::Reference::parse(row.reference));
    std::int64_t held = 0;
    for (const auto& blob : TRY(named_by(store, row))) held += TRY(holds(store, name, row.word, target, blob)) ? 1 : 0;
    if (std::exchange(most, std::max(most, held)) >= held) continue;
    // What nobody wrote down is the repository's that the name says; a further name says another.
    best = row.word.empty() ? word_of(origin_of(name, registry::Trust::kVerified)) : row.word;
  }
  return best;
}

}  // namespace slipway::image
