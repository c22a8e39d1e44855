#include "image/save_plan.hpp"

#include <algorithm>
#include <deque>

#include "image/layer_check.hpp"
#include "oci/canonical_json.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

constexpr int kIndexDepth = 4;
constexpr std::size_t kDocumentVisits = 10'000;

}  // namespace

std::string blob_path(const oci::Digest& digest) { return "blobs/sha256/" + digest.hex(); }

Status SavePlan::add(const SaveItem& item) {
  const std::string raw = TRY(store_.read_blob(item.target, oci::kManifestLimit));
  oci::Descriptor top{.media_type = item.media_type, .digest = item.target, .size = std::ssize(raw)};
  TRY(walk(top));
  top.annotations = item.annotations;
  for (const auto& name : item.references) {
    oci::Descriptor entry = top;
    entry.annotations["io.containerd.image.name"] = name.canonical();
    entry.annotations["org.opencontainers.image.ref.name"] = name.tag().empty() ? name.canonical() : name.tag();
    index_.push_back(std::move(entry));
  }
  if (item.references.empty()) index_.push_back(top);
  return add_docker_entry(item);
}

std::string SavePlan::manifest() const {
  oci::JsonWriter json;
  json.begin_array();
  for (const auto& entry : docker_) {
    json.begin_object();
    json.member("Config", entry.config);
    json.key("RepoTags");
    if (entry.names.empty()) {
      json.null();
    } else {
      json.value(entry.names);
    }
    json.member("Layers", entry.layers);
    json.end_object();
  }
  json.end_array();
  return json.take();
}

Status SavePlan::walk(const oci::Descriptor& top) {
  struct Visit {
    oci::Descriptor descriptor;
    int depth = 0;
  };
  std::deque<Visit> queue = {{top, 0}};
  std::size_t images = 0, visits = 0;
  while (!queue.empty()) {
    TRY(cancel_.check());
    if (++visits > kDocumentVisits) return fail(Code::kResourceExhausted, "the image has too many manifests");
    const Visit visit = std::move(queue.front());
    queue.pop_front();
    const auto& descriptor = visit.descriptor;
    auto read = store_.read_blob(descriptor.digest, oci::kManifestLimit);
    if (!read && read.error().code() == Code::kNotFound && visit.depth > 0) continue;  // another platform's
    std::string raw = TRY(std::move(read));
    if (oci::media_type::is_index(descriptor.media_type)) {
      if (visit.depth >= kIndexDepth) return fail(Code::kInvalidArgument, "indexes are nested too deep");
      take(descriptor);
      const oci::Index index = TRY(oci::Index::parse(std::move(raw), descriptor.media_type));
      for (const auto& entry : index.manifests()) queue.push_back({entry, visit.depth + 1});
      continue;
    }
    const auto manifest = TRY(oci::Manifest::parse(std::move(raw), descriptor.media_type));
    const Status complete = check(manifest);
    if (!complete && complete.error().code() == Code::kNotFound && visit.depth > 0) continue;
    TRY(complete);
    const auto diffs = TRY(diffs_of(store_, manifest));
    for (std::size_t i = 0; i < diffs.size(); ++i) TRY(verify_layer(store_, manifest.layers()[i], diffs[i], cancel_));
    take(descriptor);
    take(manifest.config());
    for (const auto& layer : manifest.layers()) take(layer);
    ++images;
  }
  if (images == 0) return fail(Code::kNotFound, "nothing of image {} is here; pull it first", top.digest.text());
  return {};
}

Status SavePlan::check(const oci::Manifest& manifest) {
  (void)TRY(store_.open_blob(manifest.config().digest));
  for (const auto& layer : manifest.layers()) (void)TRY(store_.open_blob(layer.digest));
  return {};
}

void SavePlan::take(const oci::Descriptor& descriptor) {
  if (seen_.insert(descriptor.digest).second) blobs_.push_back({descriptor.digest, descriptor.size});
}

Status SavePlan::add_docker_entry(const SaveItem& item) {
  const auto found = details(store_, item.target, item.media_type, std::nullopt);
  if (!found && found.error().code() == Code::kNotFound) return {};  // incomplete: for OCI readers only
  const auto image = TRY(found);
  const std::string config = blob_path(image.manifest.config().digest);
  auto at = std::find_if(docker_.begin(), docker_.end(), [&](const auto& entry) { return entry.config == config; });
  if (at == docker_.end()) {
    at = docker_.insert(docker_.end(), {config, {}, {}});
    for (const auto& layer : image.manifest.layers()) at->layers.push_back(blob_path(layer.digest));
  }
  for (const auto& name : item.references)
    if (!name.tag().empty()) at->names.push_back(name.familiar());
  return {};
}

Status copy_blob(const store::Store& store, const store::Blob& blob, const layer::Target& target,
                 const Cancel& cancel) {
  const auto file = TRY(store.open_blob(blob.digest));
  std::vector<char> buffer(256 * 1024);
  oci::Hasher hasher;
  for (std::int64_t left = blob.size; left > 0;) {
    TRY(cancel.check());
    const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(left, std::ssize(buffer)));
    const std::size_t count = TRY(sys::read_some(file.get(), buffer.data(), wanted));
    if (count == 0) return fail(Code::kDataLoss, "blob {} is shorter than {} bytes", blob.digest.text(), blob.size);
    hasher.update({buffer.data(), count});
    TRY(target({buffer.data(), count}));
    left -= static_cast<std::int64_t>(count);
  }
  if (hasher.finish() == blob.digest) return {};
  return std::unexpected(Error(Code::kDataLoss, fmt::format("blob {} is broken", blob.digest.text()))
                             .with_hint("'slipway fsck --repair' drops it; then pull or build the image again"));
}

}  // namespace slipway::image
