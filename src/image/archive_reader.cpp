// load, import_rootfs, import_any: from the bytes of an archive to images in the store (image.hpp).
#include <algorithm>
#include <deque>
#include <functional>
#include <memory>

#include "base/text.hpp"
#include "base/time.hpp"
#include "image/archive.hpp"
#include "image/image.hpp"
#include "image/layer_check.hpp"
#include "image/proofs.hpp"
#include "layer/codec.hpp"
#include "layer/tar_reader.hpp"
#include "oci/json.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

constexpr int kIndexDepth = 4;
constexpr std::size_t kDocumentVisits = 10'000;   // manifests and indexes of one archive, seen through all ways
constexpr std::size_t kDecisionLimit = 16 << 20;  // bytes looked at to tell an archive from a root file system
constexpr std::string_view kContainerdName = "io.containerd.image.name";
constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";

std::string in_archive(std::string_view what) { return fmt::format("while reading {} of the archive", what); }

/// What images an archive describes, checked against the bytes that it holds.
class Loader {
 public:
  Loader(Archive& archive, store::Store& store, const store::Lease& lease, const Cancel& cancel)
      : archive_(archive), store_(store), origins_(store), lease_(lease), cancel_(cancel) {}

  /// The one image that a layout's index.json holds under this tag or digest (choose()).
  Result<Loaded> load_one(const std::string& tag, const std::string& digest) {
    TRY(check_layout());
    const auto index = TRY(oci::Index::parse(*archive_.document("index.json"), ""));
    const auto entry = TRY(choose(index, tag, digest));
    const std::size_t at = add(entry.digest, entry.media_type);
    TRY(check_tree(entry, at));
    if (auto name = TRY(name_of(entry))) add_name(at, std::move(*name));
    return images_[at];
  }

  Result<std::vector<Loaded>> load() {
    const std::string* index = archive_.document("index.json");
    const std::string* manifest = archive_.document("manifest.json");
    if (index == nullptr && manifest == nullptr) {
      return std::unexpected(
          Error(Code::kInvalidArgument, "the archive holds no image: neither manifest.json nor index.json is in it")
              .with_hint("'slipway import' makes an image of a root file system"));
    }
    if (index != nullptr) {
      TRY(check_layout());
      if (auto status = read_index(*index); !status)
        return std::unexpected(std::move(status).error().add_context(in_archive("index.json")));
    }
    if (manifest != nullptr) {
      if (auto status = read_manifest(*manifest); !status)
        return std::unexpected(std::move(status).error().add_context(in_archive("manifest.json")));
    }
    if (images_.empty()) return fail(Code::kInvalidArgument, "the archive holds no image: its list is empty");
    return std::move(images_);
  }

 private:
  // --- OCI layout
  Status check_layout() const {
    const std::string* layout = archive_.document("oci-layout");
    if (layout == nullptr) return {};  // an index.json tells enough
    const auto document = TRY(oci::Json::parse(*layout, {.bytes = 4096}));
    const auto version = TRY(document.need_string("imageLayoutVersion"));
    if (!version.starts_with("1."))
      return fail(Code::kUnimplemented, "the archive is an OCI layout of version {}; 1.0.0 is known",
                  quoted(version, 64));
    return {};
  }

  Status read_index(const std::string& text) {
    const auto index = TRY(oci::Index::parse(text, ""));
    for (const auto& entry : index.manifests()) {
      const std::size_t at = add(entry.digest, entry.media_type);
      TRY(check_tree(entry, at));
      if (auto name = TRY(name_of(entry))) add_name(at, std::move(*name));
    }
    return {};
  }

  /// The name that an entry of index.json carries. ref.name alone is often only a tag, which names nothing.
  static Result<std::optional<oci::Reference>> name_of(const oci::Descriptor& entry) {
    for (const auto key : {kContainerdName, kRefName}) {
      const auto found = entry.annotations.find(std::string(key));
      if (found == entry.annotations.end() || found->second.empty()) continue;
      const std::string& text = found->second;
      if (key == kRefName && !text.contains(':') && !text.contains('/')) continue;
      return TRY(oci::Reference::parse(text));
    }
    return std::nullopt;
  }

  /// Every blob below `top` is in the archive, whole. Of an image for many platforms some may be left out (`docker
  /// save` does that), but not all.
  Status check_tree(const oci::Descriptor& top, std::size_t image) {
    struct Visit {
      oci::Descriptor descriptor;
      int depth = 0;
      std::optional<oci::Digest> index = {};  ///< that names it
    };
    std::deque<Visit> queue = {{top, 0}};
    std::size_t images = 0;
    while (!queue.empty()) {
      TRY(cancel_.check());
      if (++visits_ > kDocumentVisits) return fail(Code::kResourceExhausted, "the archive lists too many manifests");
      const Visit visit = std::move(queue.front());
      queue.pop_front();
      const auto& descriptor = visit.descriptor;
      if (visit.depth > 0 && !archive_.has(descriptor.digest)) continue;
      TRY(archive_.blob(descriptor.digest, descriptor.size));
      if (visit.index) TRY(origins_.note(store::Origin::image(*visit.index), descriptor.digest));
      std::string raw = TRY(store_.read_blob(descriptor.digest, oci::kManifestLimit));
      if (oci::media_type::is_index(descriptor.media_type)) {
        if (visit.depth >= kIndexDepth) return fail(Code::kInvalidArgument, "indexes are nested too deep");
        const oci::Index index = TRY(oci::Index::parse(std::move(raw), descriptor.media_type));
        for (const auto& entry : index.manifests()) queue.push_back({entry, visit.depth + 1, descriptor.digest});
      } else if (oci::media_type::is_manifest(descriptor.media_type)) {
        TRY(context(check_manifest(TRY(oci::Manifest::parse(std::move(raw), descriptor.media_type)), image),
                    "while checking manifest {}", descriptor.digest.text()));
        ++images;
      } else {
        return fail(Code::kUnimplemented, "{} is no image: its type is {}", descriptor.digest.text(),
                    quoted(descriptor.media_type, 128));
      }
    }
    if (images == 0) return fail(Code::kInvalidArgument, "the archive lacks every manifest of {}", top.digest.text());
    return {};
  }

  Status check_manifest(const oci::Manifest& manifest, std::size_t image) {
    TRY(archive_.blob(manifest.config().digest, manifest.config().size));
    const bool runnable = manifest.config().media_type == oci::media_type::kOciConfig ||
                          manifest.config().media_type == oci::media_type::kDockerConfig;
    std::vector<oci::DiffId> diffs;
    if (runnable) {
      const auto config =
          TRY(oci::ImageConfig::parse(TRY(store_.read_blob(manifest.config().digest, oci::kConfigLimit))));
      diffs = config.view().diff_ids;
      if (diffs.size() != manifest.layers().size()) {
        return fail(Code::kDataLoss, "it has {} layers and its config {} diff ids", manifest.layers().size(),
                    diffs.size());
      }
      by_config_.emplace(manifest.config().digest, image);
    }
    for (std::size_t i = 0; i < manifest.layers().size(); ++i) {
      const auto& layer = manifest.layers()[i];
      const auto member = TRY(archive_.blob(layer.digest, layer.size));
      if (!runnable || !oci::media_type::layer_compression(layer.media_type)) continue;
      if (member.compression == oci::Compression::kNone) {
        TRY(note_plain(member, diffs[i]));
      } else {
        TRY(note_compressed(member, diffs[i]));
      }
    }
    return note_own_blobs(origins_, manifest);
  }

  // --- docker-archive
  Status read_manifest(const std::string& text) {
    const auto document = TRY(oci::Json::parse(text));
    if (!document.is_array()) return fail(Code::kInvalidArgument, "it is no list");
    for (const auto entry : document.children()) {
      TRY(cancel_.check());
      TRY(entry.require_object());
      if (++visits_ > kDocumentVisits) return fail(Code::kResourceExhausted, "the archive lists too many images");
      const std::size_t at = TRY(read_entry(entry));
      for (const auto name : TRY(entry.list("RepoTags")))
        add_name(at, TRY(oci::Reference::parse(TRY(name.as_string()))));
    }
    return {};
  }

  Result<std::size_t> read_entry(const oci::Json& entry) {
    const std::string path(TRY(entry.need_string("Config")));
    const auto member = TRY(archive_.file(path));
    TRY(check_config_name(path, member.blob.digest));
    // described by index.json too: that description counts
    if (const auto known = by_config_.find(member.blob.digest); known != by_config_.end()) return known->second;
    const auto config = TRY(oci::ImageConfig::parse(TRY(store_.read_blob(member.blob.digest, oci::kConfigLimit))));
    const auto& diffs = config.view().diff_ids;
    const auto paths = TRY(entry.list("Layers"));
    if (paths.size() > oci::kLayerLimit) {
      return fail(Code::kResourceExhausted, "an image has {} layers; at most {} are taken", paths.size(),
                  oci::kLayerLimit);
    }
    if (paths.size() != diffs.size())
      return fail(Code::kDataLoss, "an image has {} layers and its config {} diff ids", paths.size(), diffs.size());
    std::vector<oci::Descriptor> layers;
    for (const auto layer : paths) {
      const std::string layer_path(TRY(layer.as_string()));
      layers.push_back(TRY(
          context(read_layer(layer_path, diffs[layers.size()]), "while checking layer {}", quoted(layer_path, 200))));
    }
    const auto manifest = oci::Manifest::make(oci::Family::kDocker,
                                              {.media_type = std::string(oci::media_type::kDockerConfig),
                                               .digest = member.blob.digest,
                                               .size = member.blob.size},
                                              std::move(layers));
    const auto blob = TRY(store_.put_blob(lease_, manifest.raw()));
    TRY(note_own_blobs(origins_, manifest));
    const std::size_t at = add(blob.digest, manifest.media_type());
    by_config_.emplace(member.blob.digest, at);
    return at;
  }

  /// A config named by its digest ("<hex>.json", "sha256:<hex>") must have it.
  static Status check_config_name(const std::string& path, const oci::Digest& digest) {
    std::string_view stem =
        std::string_view(path).substr(path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1);
    if (stem.starts_with("sha256:")) stem.remove_prefix(7);
    if (stem.ends_with(".json")) stem.remove_suffix(5);
    const auto claimed = oci::Digest::parse(fmt::format("sha256:{}", stem));
    if (claimed && *claimed != digest)
      return fail(Code::kDataLoss, "config {} has the digest {}", quoted(path, 200), digest.text());
    return {};
  }

  Result<oci::Descriptor> read_layer(const std::string& path, const oci::DiffId& diff) {
    const auto member = TRY(archive_.file(path));
    if (member.compression == oci::Compression::kNone) {
      TRY(note_plain(member, diff));
    } else {
      TRY(note_compressed(member, diff));
    }
    return oci::Descriptor{.media_type = std::string(oci::media_type::layer(oci::Family::kDocker, member.compression)),
                           .digest = member.blob.digest,
                           .size = member.blob.size};
  }

  Status note_plain(const Archive::Member& member, const oci::DiffId& diff) {
    if (member.blob.digest != diff.digest) {
      return fail(Code::kDataLoss, "layer {} is not what the config says: {}", member.blob.digest.text(),
                  diff.digest.text());
    }
    return store_.note_layer({diff, member.blob, oci::Compression::kNone, member.blob.size});
  }

  Status note_compressed(const Archive::Member& member, const oci::DiffId& diff) {
    return verify_layer(store_, {.media_type = "", .digest = member.blob.digest, .size = member.blob.size}, diff,
                        cancel_);
  }

  // --- both
  std::size_t add(const oci::Digest& target, const std::string& media_type) {
    for (std::size_t i = 0; i < images_.size(); ++i)
      if (images_[i].target == target) return i;
    images_.push_back({target, media_type, {}});
    return images_.size() - 1;
  }

  void add_name(std::size_t image, oci::Reference name) {
    auto& names = images_[image].references;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }

  Archive& archive_;
  store::Store& store_;
  store::Origins origins_;
  const store::Lease& lease_;
  const Cancel& cancel_;
  std::vector<Loaded> images_;
  std::map<oci::Digest, std::size_t> by_config_;  // config → image that has it
  std::size_t visits_ = 0;
};

/// A source that remembers what was read until it is told where to go on from the start.
class Replay {
 public:
  explicit Replay(layer::Source under) : under_(std::move(under)) {}

  Result<std::size_t> read(char* buffer, std::size_t size) {
    if (at_ < seen_.size()) {
      const std::size_t count = std::min(size, seen_.size() - at_);
      std::copy_n(seen_.data() + at_, count, buffer);
      at_ += count;
      if (!recording_ && at_ == seen_.size()) std::string().swap(seen_), at_ = 0;
      return count;
    }
    const std::size_t count = TRY(under_(buffer, size));
    if (recording_) {
      seen_.append(buffer, count);
      at_ = seen_.size();
    }
    return count;
  }
  void rewind() {
    recording_ = false;
    at_ = 0;
  }
  [[nodiscard]] std::size_t seen() const { return seen_.size(); }

 private:
  layer::Source under_;
  std::string seen_;
  std::size_t at_ = 0;
  bool recording_ = true;
};

/// The first member that is no directory tells.
Result<bool> is_archive(Replay& replay, const Cancel& cancel) {
  const auto plain = TRY(layer::decoder([&](char* buffer, std::size_t size) { return replay.read(buffer, size); }));
  std::vector<char> buffer(16 * 1024);
  layer::TarReader tar(
      [&]() -> Result<std::string_view> {
        TRY(cancel.check());
        return std::string_view(buffer.data(), TRY(plain(buffer.data(), buffer.size())));
      },
      layer::Limits{});
  layer::Entry entry;
  while (replay.seen() < kDecisionLimit && TRY(tar.next(entry))) {
    if (entry.type == layer::EntryType::kDirectory) continue;
    const auto key = member_key(entry.path);
    return key && is_archive_path(*key);
  }
  return false;
}

struct StoredLayer {
  store::LayerBlob layer;
  std::int64_t entries = 0;
};

/// The layer of a root file system. A compressed tar is kept as it came; a plain one is stored as gzip, because it will
/// be pushed.
Result<StoredLayer> store_layer(store::Store& store, const store::Lease& lease, const layer::Source& source,
                                const Cancel& cancel) {
  Replay replay(source);
  std::string head(4, '\0');
  std::size_t have = 0;
  while (have < head.size()) {
    const std::size_t count = TRY(replay.read(head.data() + have, head.size() - have));
    if (count == 0) break;
    have += count;
  }
  replay.rewind();
  if (have == 0) return fail(Code::kInvalidArgument, "there is nothing in it");
  const auto came_as = layer::detect(std::string_view(head).substr(0, have));
  const bool compress = came_as == oci::Compression::kNone;

  auto writer = TRY(store.write_blob(lease));
  const auto encoder =
      layer::encoder(oci::Compression::kGzip, [&](std::string_view bytes) { return writer.write(bytes); });
  const auto plain = TRY(layer::decoder([&](char* buffer, std::size_t size) -> Result<std::size_t> {
    const std::size_t count = TRY(replay.read(buffer, size));
    if (!compress && count > 0) TRY(writer.write({buffer, count}));
    return count;
  }));
  oci::Hasher hasher;
  StoredLayer made{.layer = {.diff = {oci::Digest::of("")}, .blob = {oci::Digest::of(""), 0}}};
  std::vector<char> buffer(256 * 1024);
  layer::TarReader tar(
      [&]() -> Result<std::string_view> {
        TRY(cancel.check());
        const std::string_view bytes(buffer.data(), TRY(plain(buffer.data(), buffer.size())));
        hasher.update(bytes);
        if (compress && !bytes.empty()) TRY(encoder->write(bytes));
        return bytes;
      },
      layer::Limits{});
  layer::Entry entry;
  while (TRY(tar.next(entry))) {
    if (++made.entries > layer::Limits{}.entries) return fail(Code::kOutOfRange, "it has too many entries");
    if (entry.type == layer::EntryType::kFile &&
        __builtin_add_overflow(made.layer.tree_bytes, entry.size, &made.layer.tree_bytes))
      return fail(Code::kOutOfRange, "its files are too large");
  }
  TRY(tar.drain());
  if (compress) TRY(encoder->finish());
  made.layer.blob = TRY(writer.commit({}));
  made.layer.diff = {hasher.finish()};
  made.layer.compression = compress ? oci::Compression::kGzip : came_as;
  TRY(store.note_layer(made.layer));
  return made;
}

}  // namespace

Result<std::vector<Loaded>> load(store::Store& store, const store::Lease& lease, const layer::Source& source,
                                 const Cancel& cancel) {
  auto archive = TRY(Archive::read(store, lease, source, cancel));
  return Loader(archive, store, lease, cancel).load();
}

Result<std::vector<Loaded>> load_layout(store::Store& store, const store::Lease& lease, const std::string& directory,
                                        const Cancel& cancel) {
  auto archive = TRY(Archive::open(store, lease, directory, cancel));
  return Loader(archive, store, lease, cancel).load();
}

Result<Loaded> import_layout(store::Store& store, const store::Lease& lease, const std::string& directory,
                             const std::string& tag, const std::string& digest, const Cancel& cancel) {
  auto archive = TRY(Archive::open(store, lease, directory, cancel));
  return Loader(archive, store, lease, cancel).load_one(tag, digest);
}

Result<Loaded> import_rootfs(store::Store& store, const store::Lease& lease, const layer::Source& source,
                             const oci::Platform& platform, const Cancel& cancel) {
  const auto stored = TRY(store_layer(store, lease, source, cancel));
  const auto created = now();
  oci::ImageConfigView view;
  view.created = created;
  view.platform = platform;
  view.diff_ids = {stored.layer.diff};
  view.history = {{.created = created, .comment = "Imported from -"}};
  const auto config = oci::ImageConfig::make(std::move(view));
  const auto config_blob = TRY(store.put_blob(lease, config.raw()));
  const auto manifest = oci::Manifest::make(
      oci::Family::kOci,
      {.media_type = std::string(oci::media_type::kOciConfig), .digest = config_blob.digest, .size = config_blob.size},
      {{.media_type = std::string(oci::media_type::layer(oci::Family::kOci, stored.layer.compression)),
        .digest = stored.layer.blob.digest,
        .size = stored.layer.blob.size}});
  const auto blob = TRY(store.put_blob(lease, manifest.raw()));
  TRY(note_own_blobs(store::Origins(store), manifest));
  return Loaded{blob.digest, manifest.media_type(), {}};
}

Result<std::vector<Loaded>> import_any(store::Store& store, const store::Lease& lease, const layer::Source& source,
                                       const oci::Platform& platform, const Cancel& cancel) {
  Replay replay(source);
  const auto saved = is_archive(replay, cancel);
  if (!saved && saved.error().code() == Code::kInvalidArgument) {
    return std::unexpected(
        Error(saved.error())
            .with_hint(
                "an archive of images or of a root file system is expected: tar, plain or compressed by gzip or zstd"));
  }
  const bool archive = TRY(saved);
  replay.rewind();
  const layer::Source again = [&](char* buffer, std::size_t size) { return replay.read(buffer, size); };
  if (archive) return load(store, lease, again, cancel);
  return std::vector{TRY(import_rootfs(store, lease, again, platform, cancel))};
}

}  // namespace slipway::image
