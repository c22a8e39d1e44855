#include "build/bases.hpp"

#include <set>

#include "build/definition.hpp"

namespace slipway::build {
Result<bool> Bases::proven(std::size_t vertex) {
  std::set<std::size_t> seen{vertex};
  std::vector<std::size_t> pending{vertex};
  const std::lock_guard lock(mutex_);
  while (!pending.empty()) {
    const auto& [op, inputs, ignored] = plan_.graph.vertices()[pending.back()];
    pending.pop_back();
    for (const auto& input : inputs)
      if (seen.insert(input.vertex).second) pending.push_back(input.vertex);
    const auto* image = static_cast<const DescribedOp&>(*op).image();
    if (image == nullptr) continue;
    const auto [found, fresh] = proven_.try_emplace(image, false);
    if (fresh) found->second = TRY(is_proven(*image));
    if (!found->second) return false;
  }
  return true;
}

Result<bool> Bases::is_proven(const image::Resolved& image) {
  const store::Origins origins(shop_.store);
  const oci::Digest& manifest = image.manifest.digest();
  // An image that has its own manifest is proven, and stays so when its layers are gone. Not so one of a directory,
  // where another image may lie by now.
  const store::Origin kept = image.own ? *image.own : store::Origin::image_of(shop_.images.origin(image), manifest);
  const bool lasting = !kept.is_folder();
  if (lasting && TRY(origins.has(kept, manifest))) return true;
  if (!TRY(layers_are_known(image))) {
    if (!TRY(prove(image))) return false;
    // They came; on the word of a mirror that could not ask, it is true for now only.
    if (!TRY(layers_are_known(image))) return true;
  }
  if (lasting) TRY(origins.note(kept, manifest));
  return true;
}

Result<bool> Bases::layers_are_known(const image::Resolved& image) const {
  const auto& layers = image.manifest.layers();
  const auto& diffs = image.config.view().diff_ids;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto layer = TRY(shop_.store.layer_of_blob(layers[i].digest));
    if (!layer || layer->diff != diffs.at(i) || !TRY(shop_.images.holds(image, layers[i].digest))) return false;
  }
  return true;
}

Result<bool> Bases::prove(const image::Resolved& image) {
  const progress::VertexId id = ids_.next();
  shop_.sink.on(progress::Started{id, "[internal] check the layers of " + image.reference.canonical()});
  const Status done = shop_.images.prove(image, shop_.sink, id, cancel_);
  shop_.sink.on(progress::Finished{id, done ? "" : done.error().message()});
  if (!done && done.error().code() == Code::kCancelled) return std::unexpected(done.error());
  return done.has_value();  // steps upon it run, and tell why they can not
}

}  // namespace slipway::build
