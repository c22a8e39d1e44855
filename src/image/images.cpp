#include "image/image.hpp"

#include <algorithm>

#include "image/layer_check.hpp"
#include "image/layout_directory.hpp"
#include "image/parallel.hpp"
#include "image/resolver.hpp"
#include "image/transfers.hpp"
#include "image/unpacking.hpp"

namespace slipway::image {
namespace {

/// Whether another try with the same documents would fail as well.
bool is_about_the_image(Code code) {
  return code != Code::kCancelled && code != Code::kUnavailable && code != Code::kDeadlineExceeded;
}

/// A name that resolve() gave to what can not be used; the next build would take it for good and ask nobody.
void take_name_back(const Images& images, const Resolved& image) {
  const auto now = images.store.find_name(images.scope, image.reference);
  if (!now || !*now || (*now)->target != image.target) return;
  const auto& before = image.replaced;
  if (!before)
    (void)images.store.remove_name(images.scope, image.reference, store::Durable::kNo);
  else if (before->target != image.target)
    (void)images.store.set_name(images.scope, image.reference, before->target, before->media_type, store::Durable::kNo,
                                before->word);
}

std::vector<const oci::Descriptor*> blobs_of(const oci::Manifest& manifest) {
  std::vector<const oci::Descriptor*> blobs = {&manifest.config()};
  for (const auto& layer : manifest.layers()) blobs.push_back(&layer);
  return blobs;
}

Status ensure_all(const Images& images, const Transfers& transfers, const std::vector<const oci::Descriptor*>& blobs,
                  const Cancel& cancel) {
  return for_each_parallel(blobs.size(), images.client.parallel_transfers(), cancel,
                           [&](std::size_t i, const Cancel& inner) -> Status {
                             (void)TRY(transfers.ensure(*blobs[i], nullptr, inner));
                             return {};
                           });
}

}  // namespace

Result<Resolved> Images::resolve(const oci::Reference& reference, const oci::Platform& platform, PullPolicy policy,
                                 progress::Sink& sink, progress::VertexId vertex, const Cancel& cancel) const {
  auto answer = TRY(Resolver(*this, reference, platform, policy, sink, vertex, cancel).run());
  if (answer.from_registry) {
    answer.image.replaced = TRY(store.find_name(scope, reference));
    answer.image.named = true;
    TRY(store.set_name(scope, reference, answer.image.target, answer.image.target_media_type, store::Durable::kNo,
                       answer.word));
  }
  return std::move(answer.image);
}

Result<std::vector<store::Snapshot>> Images::unpack(const Resolved& image, progress::Sink& sink,
                                                    progress::VertexId vertex, const Cancel& cancel) const {
  auto snapshots = Unpacking(*this, image, sink, vertex).run(cancel);
  if (!snapshots && image.named && is_about_the_image(snapshots.error().code())) take_name_back(*this, image);
  return snapshots;
}

Status Images::fetch(const Resolved& image, progress::Sink& sink, progress::VertexId vertex,
                     const Cancel& cancel) const {
  return ensure_all(*this, Transfers(*this, image, sink, vertex), blobs_of(image.manifest), cancel);
}

Status Images::fetch_layers(const Resolved& image, const std::vector<oci::Digest>& wanted, progress::Sink& sink,
                            progress::VertexId vertex, const Cancel& cancel) const {
  std::vector<const oci::Descriptor*> blobs;
  for (const auto& layer : image.manifest.layers())
    if (wanted.empty() || std::ranges::find(wanted, layer.digest) != wanted.end()) blobs.push_back(&layer);
  return ensure_all(*this, Transfers(*this, image, sink, vertex), blobs, cancel);
}

Status Images::fetch_named(const oci::Reference& name, const oci::Manifest& manifest, progress::Sink& sink,
                           progress::VertexId vertex, const Cancel& cancel) const {
  Transfers transfers(*this, name, sink, vertex);
  const auto row = TRY(store.find_name(scope, name));
  transfers.stand_for(own_origin(row ? row->word : std::string(), transfers.proofs().repository(), manifest.digest()),
                      manifest.digest());
  return ensure_all(*this, transfers, blobs_of(manifest), cancel);
}

Result<bool> Images::holds(const Resolved& image, const oci::Digest& blob) const {
  const auto here = TRY(store.acquire_blob(lease, blob));
  if (!here) return false;
  if (const store::Origin whose = origin(image); whose.is_folder()) return folder_shows(store, whose, *here);
  Proofs proofs(store, image.reference, client.repository(image.reference, image.trust));
  proofs.stand_for(image.own, image.manifest.digest());
  return proofs.hold(blob);
}

store::Origin Images::origin(const Resolved& image) const {
  if (image.own) return *image.own;
  return origin_of(image.reference, client.repository(image.reference, image.trust).trust());
}

Status Images::prove(const Resolved& image, progress::Sink& sink, progress::VertexId vertex,
                     const Cancel& cancel) const {
  TRY(fetch_layers(image, {}, sink, vertex, cancel));
  const auto& layers = image.manifest.layers();
  const auto& diffs = image.config.view().diff_ids;
  for (std::size_t i = 0; i < layers.size(); ++i) TRY(verify_layer(store, layers[i], diffs.at(i), cancel));
  return {};
}

Result<Resolved> Images::pull(const oci::Reference& reference, const oci::Platform& platform, progress::Sink& sink,
                              const Cancel& cancel) const {
  constexpr progress::VertexId kVertex = 1;
  sink.on(progress::Started{kVertex, "pull " + reference.familiar()});
  const auto work = [&]() -> Result<Resolved> {
    auto answer = TRY(Resolver(*this, reference, platform, PullPolicy::kAlways, sink, kVertex, cancel).run());
    (void)TRY(unpack(answer.image, sink, kVertex, cancel));
    TRY(fetch(answer.image, sink, kVertex, cancel));  // a snapshot may be here while its blob is not
    // The name last: it never points at an image that is only half here.
    TRY(store.set_name(scope, reference, answer.image.target, answer.image.target_media_type, store::Durable::kYes,
                       answer.word));
    return std::move(answer.image);
  };
  auto image = work();
  sink.on(progress::Finished{kVertex, image ? "" : image.error().message()});
  return image;
}

}  // namespace slipway::image
