#include "image/save_plan.hpp"

#include <algorithm>

#include "image/layer_check.hpp"
#include "image/walk.hpp"
#include "oci/canonical_json.hpp"
#include "sys/file.hpp"

namespace slipway::image {

std::string blob_path(const oci::Digest& digest) { return "blobs/sha256/" + digest.hex(); }

Status SavePlan::add(const SaveItem& item) {
  const std::string raw = TRY(store_.read_blob(item.target, oci::kManifestLimit));
  oci::Descriptor top{.media_type = item.media_type, .digest = item.target, .size = std::ssize(raw)};
  TRY(walk(top, item.holder));
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

Status SavePlan::walk(const oci::Descriptor& top, const Holder& holder) {
  bool any = false;
  const Walk walk{store_, holder, cancel_};
  TRY(walk.run(top, [&](const Walked& at) -> Status {
    if (!at.manifest) {
      take(at.descriptor);
      return {};
    }
    const Status whole = holder.has_all(store_, *at.manifest);
    if (!whole && whole.error().code() == Code::kNotFound && at.depth > 0) return {};  // another platform's
    TRY(whole);
    any = true;
    return add_image(at.descriptor, *at.manifest);
  }));
  if (!any) return fail(Code::kNotFound, "nothing of image {} is here; pull it first", top.digest.text());
  return {};
}

Status SavePlan::add_image(const oci::Descriptor& descriptor, const oci::Manifest& manifest) {
  const auto diffs = TRY(diffs_of(store_, manifest));
  for (std::size_t i = 0; i < diffs.size(); ++i) TRY(verify_layer(store_, manifest.layers()[i], diffs[i], cancel_));
  take(descriptor);
  take(manifest.config());
  for (const auto& layer : manifest.layers()) take(layer);
  return {};
}

void SavePlan::take(const oci::Descriptor& descriptor) {
  if (seen_.insert(descriptor.digest).second) blobs_.push_back({descriptor.digest, descriptor.size});
}

Status SavePlan::add_docker_entry(const SaveItem& item) {
  const auto found = details(store_, item.holder, item.target, item.media_type, std::nullopt);
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
