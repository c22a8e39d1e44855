#include "image/image.hpp"
#include "image/parallel.hpp"
#include "image/resolver.hpp"
#include "image/transfers.hpp"
#include "image/unpacking.hpp"

namespace slipway::image {

Result<Resolved> Images::resolve(const oci::Reference& reference, const oci::Platform& platform, PullPolicy policy,
                                 progress::Sink& sink, progress::VertexId vertex, const Cancel& cancel) const {
  auto answer = TRY(Resolver(*this, reference, platform, policy, sink, vertex, cancel).run());
  if (answer.from_registry)
    TRY(store.set_name(scope, reference, answer.image.target, answer.image.target_media_type, store::Durable::kNo));
  return std::move(answer.image);
}

Result<std::vector<store::Snapshot>> Images::unpack(const Resolved& image, progress::Sink& sink,
                                                    progress::VertexId vertex, const Cancel& cancel) const {
  return Unpacking(*this, image, sink, vertex).run(cancel);
}

Status Images::fetch(const Resolved& image, progress::Sink& sink, progress::VertexId vertex,
                     const Cancel& cancel) const {
  return fetch_blobs(image.reference, image.manifest, sink, vertex, cancel);
}

Status Images::fetch_blobs(const oci::Reference& reference, const oci::Manifest& manifest, progress::Sink& sink,
                           progress::VertexId vertex, const Cancel& cancel) const {
  const Transfers transfers(*this, reference, sink, vertex);
  std::vector<const oci::Descriptor*> blobs = {&manifest.config()};
  for (const auto& layer : manifest.layers()) blobs.push_back(&layer);
  return for_each_parallel(blobs.size(), client.parallel_transfers(), cancel,
                           [&](std::size_t i, const Cancel& inner) -> Status {
                             (void)TRY(transfers.ensure(*blobs[i], nullptr, inner));
                             return {};
                           });
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
    TRY(store.set_name(scope, reference, answer.image.target, answer.image.target_media_type, store::Durable::kYes));
    return std::move(answer.image);
  };
  auto image = work();
  sink.on(progress::Finished{kVertex, image ? "" : image.error().message()});
  return image;
}

}  // namespace slipway::image
