// save: images as an archive that docker, podman, containerd and skopeo read (image.hpp).
//
//   oci-layout  index.json        what OCI readers and docker from 25 on look at; one entry per name
//   manifest.json                 what docker before 25 looks at; its paths are those of the blobs
//   blobs/ blobs/sha256/ …        every blob once
#include "image/save_plan.hpp"
#include "layer/tar_writer.hpp"

namespace slipway::image {
namespace {

Status add_directory(layer::TarWriter& tar, const char* path) {
  return tar.add({.type = layer::EntryType::kDirectory, .path = path, .mode = 0755});
}

Status add_file(layer::TarWriter& tar, const char* path, const std::string& text) {
  TRY(tar.add({.path = path, .mode = 0644, .size = std::ssize(text)}));
  return tar.write(text);
}

Status add_blob(layer::TarWriter& tar, const store::Store& store, const store::Blob& blob, const Cancel& cancel) {
  TRY(tar.add({.path = blob_path(blob.digest), .mode = 0444, .size = blob.size}));
  return copy_blob(store, blob, [&](std::string_view bytes) { return tar.write(bytes); }, cancel);
}

}  // namespace

Status save(store::Store& store, const std::vector<SaveItem>& items, ArchiveKind kind, const layer::Target& target,
            const Cancel& cancel) {
  SavePlan plan(store, cancel);
  for (const auto& item : items) TRY(plan.add(item));
  layer::TarWriter tar(target);
  TRY(add_file(tar, "oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  TRY(add_file(tar, "index.json", plan.index()));
  if (kind == ArchiveKind::kBoth) TRY(add_file(tar, "manifest.json", plan.manifest()));
  TRY(add_directory(tar, "blobs"));
  TRY(add_directory(tar, "blobs/sha256"));
  for (const auto& blob : plan.blobs()) TRY(add_blob(tar, store, blob, cancel));
  return tar.finish();
}

}  // namespace slipway::image
