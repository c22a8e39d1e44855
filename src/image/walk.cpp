#include "image/walk.hpp"

#include <deque>

namespace slipway::image {
namespace {

constexpr int kIndexDepth = 4;
constexpr std::size_t kDocumentVisits = 10'000;

struct Visit {
  oci::Descriptor descriptor;
  int depth = 0;
  std::optional<oci::Digest> index = {};  ///< that names it
};

Status check_size(const Visit& visit, const std::string& bytes) {
  if (!visit.index || std::ssize(bytes) == visit.descriptor.size) return {};
  return fail(Code::kDataLoss, "the manifest {} has {} bytes, the index {} says {}", visit.descriptor.digest.text(),
              bytes.size(), visit.index->text(), visit.descriptor.size);
}

/// The bytes of what an index names, or of the top; nothing when they are not here, or not the holder's.
Result<std::optional<std::string>> read(const Walk& walk, const Visit& visit) {
  auto bytes = walk.store.read_blob(visit.descriptor.digest, oci::kManifestLimit);
  if (visit.index && !bytes && bytes.error().code() == Code::kNotFound) return std::nullopt;
  if (!visit.index || !bytes) return bytes;
  if (!TRY(walk.holder.has(walk.store, *visit.index, visit.descriptor.digest))) return std::nullopt;
  TRY(check_size(visit, *bytes));
  return bytes;
}

}  // namespace

Status Walk::run(const oci::Descriptor& top, const std::function<Status(const Walked&)>& visit) const {
  std::deque<Visit> queue = {{top}};
  for (std::size_t visits = 0; !queue.empty(); ++visits) {
    TRY(cancel.check());
    if (visits == kDocumentVisits) return fail(Code::kResourceExhausted, "the image has too many manifests");
    const Visit at = std::move(queue.front());
    queue.pop_front();
    auto bytes = TRY(read(*this, at));
    if (!bytes) continue;
    std::optional<oci::Manifest> manifest;
    if (!oci::media_type::is_index(at.descriptor.media_type)) {
      manifest = TRY(oci::Manifest::parse(*std::move(bytes), at.descriptor.media_type));
      TRY(visit({at.descriptor, manifest, at.depth}));
      continue;
    }
    if (at.depth == kIndexDepth) return fail(Code::kInvalidArgument, "indexes are nested too deep");
    TRY(visit({at.descriptor, manifest, at.depth}));
    const auto index = TRY(oci::Index::parse(*std::move(bytes), at.descriptor.media_type));
    for (const auto& entry : index.manifests())
      if (!wanted || wanted(entry)) queue.push_back({entry, at.depth + 1, at.descriptor.digest});
  }
  return {};
}

}  // namespace slipway::image
