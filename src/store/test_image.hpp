// Images for the tests of this folder: two layers, config, manifest, name and record, all told by a seed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "layer/codec.hpp"
#include "layer/tar_writer.hpp"
#include "store/store.hpp"
#include "sys/file.hpp"

namespace slipway::store::testing {

inline constexpr std::string_view kScope = "default";

/// Where loops of thousands of fsyncs are quick: memory, where there is some.
inline std::string fast_directory() { return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; }

inline layer::Entry file_entry(std::string path, std::size_t size, std::uint32_t mode = 0644) {
  return {.type = layer::EntryType::kFile,
          .path = std::move(path),
          .mode = mode,
          .mtime = {1700000000, 0},
          .size = static_cast<std::int64_t>(size)};
}

struct TestFile {
  layer::Entry entry;
  std::string content;
};
inline TestFile file(std::string path, std::string content) {
  return {file_entry(std::move(path), content.size()), std::move(content)};
}

inline Result<std::string> make_tar(const std::vector<TestFile>& files) {
  std::string tar;
  layer::TarWriter writer([&](std::string_view bytes) -> Status {
    tar.append(bytes);
    return {};
  });
  for (const auto& one : files) {
    TRY(writer.add(one.entry));
    TRY(writer.write(one.content));
  }
  TRY(writer.finish());
  return tar;
}

inline Result<std::string> gzip(std::string_view plain) {
  std::string out;
  const auto encoder = layer::encoder(oci::Compression::kGzip, [&](std::string_view bytes) -> Status {
    out.append(bytes);
    return {};
  });
  TRY(encoder->write(plain));
  TRY(encoder->finish());
  return out;
}

inline layer::Source source_of(std::string_view bytes) {
  return [bytes, at = std::size_t{0}](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
    const std::size_t got = bytes.copy(buffer, size, at);
    at += got;
    return got;
  };
}

/// Pseudo-random printable text, the same for the same seed.
inline std::string text_of(std::uint64_t seed, std::size_t size) {
  std::string out(size, '\0');
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (char& c : out) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    c = static_cast<char>('!' + (state >> 33) % 90);
  }
  return out;
}

struct StoredLayer {
  oci::Descriptor descriptor;
  oci::DiffId diff;
  Snapshot snapshot;
};

/// Blob, layer row and unpacked snapshot of a tar, on top of `parent`.
inline Result<StoredLayer> store_layer(Store& store, const Lease& lease, const std::string& tar,
                                       const std::optional<oci::ChainId>& parent) {
  const std::string packed = TRY(gzip(tar));
  const Blob blob = TRY(store.put_blob(lease, packed));
  const oci::DiffId diff{oci::Digest::of(tar)};
  TRY(store.note_layer({.diff = diff,
                        .blob = blob,
                        .compression = oci::Compression::kGzip,
                        .tree_bytes = static_cast<std::int64_t>(tar.size())}));
  oci::Descriptor descriptor{.media_type = std::string(oci::media_type::kOciLayerGzip),
                             .digest = blob.digest,
                             .size = blob.size,
                             .urls = {},
                             .annotations = {},
                             .platform = {}};
  const oci::ChainId chain = parent ? parent->next(diff) : oci::ChainId::first(diff);
  if (auto existing = TRY(store.acquire_snapshot(lease, chain)))
    return StoredLayer{std::move(descriptor), diff, std::move(*existing)};
  SnapshotDraft draft = TRY(store.draft_snapshot(lease));
  const sys::Fd fs = TRY(sys::open(draft.fs(), O_RDONLY | O_DIRECTORY));
  const layer::Unpacked unpacked = TRY(layer::unpack(source_of(packed), fs.get(), {}, Cancel()));
  Snapshot snapshot = TRY(draft.commit(
      {.parent = parent, .diff = unpacked.diff_id, .empty = unpacked.empty, .tree_bytes = unpacked.tree_bytes}));
  return StoredLayer{std::move(descriptor), diff, std::move(snapshot)};
}

struct StoredImage {
  oci::Digest manifest;
  oci::Digest config;
  std::vector<StoredLayer> layers;
};

/// An image of these tars without a name.
inline Result<StoredImage> store_image(Store& store, const Lease& lease, const std::vector<std::string>& tars) {
  std::vector<StoredLayer> layers;
  oci::ImageConfigView view;
  std::vector<oci::Descriptor> descriptors;
  std::optional<oci::ChainId> parent;
  for (const auto& tar : tars) {
    layers.push_back(TRY(store_layer(store, lease, tar, parent)));
    parent = layers.back().snapshot.chain;
    view.diff_ids.push_back(layers.back().diff);
    descriptors.push_back(layers.back().descriptor);
  }
  const oci::ImageConfig config = oci::ImageConfig::make(view);
  const Blob config_blob = TRY(store.put_blob(lease, config.raw()));
  const oci::Descriptor config_descriptor{.media_type = std::string(oci::media_type::kOciConfig),
                                          .digest = config_blob.digest,
                                          .size = config_blob.size,
                                          .urls = {},
                                          .annotations = {},
                                          .platform = {}};
  const oci::Manifest manifest = oci::Manifest::make(oci::Family::kOci, config_descriptor, descriptors);
  const Blob blob = TRY(store.put_blob(lease, manifest.raw()));
  return StoredImage{blob.digest, config_blob.digest, std::move(layers)};
}

/// The two layers of a seed: one shared by every fourth seed, one of its own.
inline Result<std::vector<std::string>> seed_tars(std::uint64_t seed) {
  std::vector<TestFile> base = {file("base.txt", text_of(seed % 4 + 1000, 20000))};
  std::vector<TestFile> own = {file("own.txt", text_of(seed, 5000)), file("empty", "")};
  return std::vector{TRY(make_tar(base)), TRY(make_tar(own))};
}
inline oci::Reference seed_name(std::uint64_t seed) { return *oci::Reference::parse(fmt::format("seed-{}:1", seed)); }
inline oci::Digest seed_key(std::uint64_t seed) { return oci::Digest::of(fmt::format("key {}", seed)); }

/// What a build does with the store: image, record, name, and "done" only when it is durable.
inline Status build_seed(Store& store, std::uint64_t seed) {
  const Lease lease = TRY(store.lease("build"));
  const StoredImage image = TRY(store_image(store, lease, TRY(seed_tars(seed))));
  Record record{.key = seed_key(seed),
                .scope = std::string(kScope),
                .value = fmt::format("record {}", seed),
                .parts = {{.value = fmt::format("part {}", seed),
                           .snapshot = image.layers.back().snapshot.chain,
                           .blob = image.config}}};
  TRY(store.put_record(record));
  return store.set_name(kScope, seed_name(seed), image.manifest, oci::media_type::kOciManifest, Durable::kYes);
}

/// Reads an image of build_seed to its last byte; kDataLoss when something is missing or different.
inline Status verify_seed(Store& store, std::uint64_t seed) {
  const Lease lease = TRY(store.lease("verify"));
  const auto name = TRY(store.acquire_name(lease, kScope, seed_name(seed)));
  if (!name) return fail(Code::kNotFound, "no image of seed {}", seed);
  const auto manifest =
      TRY(oci::Manifest::parse(TRY(store.read_blob(name->target, oci::kManifestLimit)), name->media_type));
  TRY(store.read_blob(manifest.config().digest, oci::kConfigLimit));
  const auto tars = TRY(seed_tars(seed));
  for (std::size_t i = 0; i < tars.size(); ++i) {
    const std::string bytes = TRY(store.read_blob(manifest.layers().at(i).digest, 1 << 20));
    if (bytes != TRY(gzip(tars[i]))) return fail(Code::kDataLoss, "a layer of seed {} is not what was stored", seed);
  }
  return {};
}

}  // namespace slipway::store::testing
