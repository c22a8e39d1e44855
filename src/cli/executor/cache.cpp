#include "cli/executor/cache.hpp"

#include <fcntl.h>

#include "base/text.hpp"
#include "base/time.hpp"
#include "image/layer_check.hpp"
#include "image/layout_directory.hpp"
#include "image/proofs.hpp"
#include "image/transfers.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

/// The solver's key of the step, in the config of what is written here.
constexpr const char* kExactKey = "io.slipway.cache.key";

/// A small blob into memory, verified.
Result<std::string> small_blob(const registry::Repository& repository, const oci::Descriptor& descriptor,
                               const Cancel& cancel) {
  if (descriptor.size > oci::kConfigLimit)
    return fail(Code::kOutOfRange, "the config of a cache entry has {} bytes", descriptor.size);
  std::string bytes;
  TRY(repository.blob(
      descriptor,
      [&](std::string_view piece) -> Status {
        bytes += piece;
        return {};
      },
      cancel));
  if (oci::Digest::of(bytes) != descriptor.digest)
    return fail(Code::kDataLoss, "the config of a cache entry is not {}", descriptor.digest.text());
  return bytes;
}

Result<oci::Descriptor> keep_document(const build::Workshop& shop, const std::string& bytes, std::string_view type) {
  const oci::Digest digest = oci::Digest::of(bytes);
  if (!TRY(shop.store.acquire_blob(shop.lease, digest))) (void)TRY(shop.store.put_blob(shop.lease, bytes));
  return oci::Descriptor{.media_type = std::string(type), .digest = digest, .size = std::ssize(bytes)};
}

}  // namespace

Result<std::string> cache_repository(const ExecutorOptions& options, const std::vector<oci::Reference>& destinations) {
  const std::string& given = options.cache_repository;
  if (given.starts_with("oci:")) {
    if (given.size() > 4) return given;
    return fail(Code::kUsage, "option --cache-repo: oci: needs a path behind it");
  }
  if (given.empty()) {
    if (destinations.empty()) return std::string();
    return destinations[0].registry() + "/" + destinations[0].repository() + "/cache";
  }
  const auto name = oci::Reference::parse(given);
  if (!name || name->digest() || name->familiar_name() != given.substr(0, name->familiar_name().size()) ||
      (name->tag() != "latest" || given.ends_with(":latest")))
    return fail(Code::kUsage, "option --cache-repo is a repository without a tag, not {}", quoted(given, 300));
  return name->registry() + "/" + name->repository();
}

Result<ExecutorCache::Entry> ExecutorCache::look_in_registry(const std::string& key, const Cancel& cancel) const {
  const oci::Reference name = TRY(oci::Reference::parse(place(key)));
  const auto repository = client_.repository(name);
  const auto document = TRY(repository.manifest(name, cancel));
  auto manifest = TRY(oci::Manifest::parse(document.bytes, document.media_type));
  auto config = TRY(oci::ImageConfig::parse(TRY(small_blob(repository, manifest.config(), cancel))));
  return Entry{std::move(manifest), std::move(config), ""};
}

Result<ExecutorCache::Entry> ExecutorCache::look_in_layout(const std::string& directory) const {
  const auto layout = TRY(image::LayoutDirectory::open(directory));
  const auto document = [&](const oci::Descriptor& descriptor) -> Result<std::string> {
    const sys::Fd file = TRY(layout.open_blob(descriptor));
    std::string bytes = TRY(sys::read_all(file.get(), oci::kManifestLimit));
    if (oci::Digest::of(bytes) != descriptor.digest)
      return fail(Code::kDataLoss, "{} is not what its name says", descriptor.digest.text());
    return bytes;
  };
  const auto index = TRY(oci::Index::parse(TRY(layout.index_bytes()), oci::media_type::kOciIndex));
  if (index.manifests().empty()) return fail(Code::kNotFound, "path contains no images");
  const oci::Descriptor& last = index.manifests().back();  // kaniko: "assume there is only one image"
  auto manifest = TRY(oci::Manifest::parse(TRY(document(last)), last.media_type));
  auto config = TRY(oci::ImageConfig::parse(TRY(document(manifest.config()))));
  return Entry{std::move(manifest), std::move(config), directory};
}

Result<std::optional<ExecutorCache::Entry>> ExecutorCache::look(const std::string& key, const Cancel& cancel) const {
  log_.info(fmt::format("Checking for cached layer {}...", place(key)));
  auto entry = in_layouts() ? look_in_layout(place(key).substr(4)) : look_in_registry(key, cancel);
  if (entry) return std::optional(*std::move(entry));
  TRY(cancel.check());
  const Error& why = entry.error();
  if (why.code() != Code::kNotFound)
    log_.say(LogLevel::kWarn, fmt::format("cannot look for the cached layer {}: {}", place(key), why.message()));
  return std::nullopt;
}

bool ExecutorCache::fits(const Entry& entry, const build::CacheableStep& step) const {
  const auto& view = entry.config.view();
  if (view.diff_ids.size() != 1 || entry.manifest.layers().size() != 1) return false;
  const Timestamp created = view.created.value_or(Timestamp{});
  if (created.seconds + options_.cache_seconds <= now().seconds) {
    log_.info("Cache entry expired");
    return false;
  }
  const auto label = view.config.labels.find(kExactKey);
  if (label == view.config.labels.end()) return step.told_apart;
  return !step.exact.empty() && label->second == step.exact;
}

Result<build::LayerFacts> ExecutorCache::take(const build::Workshop& shop, const Entry& entry, const std::string& key,
                                              progress::VertexId vertex, const Cancel& cancel) const {
  const oci::Descriptor& blob = entry.manifest.layers()[0];
  if (!entry.directory.empty()) {
    const auto layout = TRY(image::LayoutDirectory::open(entry.directory));
    (void)TRY(layout.bring(shop.store, shop.lease, blob, cancel));
  } else {
    const oci::Reference name = TRY(oci::Reference::parse(place(key)));
    const image::Images images{shop.store, shop.lease, client_, shop.scope};
    (void)TRY(image::Transfers(images, name, log_, vertex).ensure(blob, nullptr, cancel));
  }
  // The entry's own word is not believed.
  const oci::DiffId& diff = entry.config.view().diff_ids[0];
  TRY(image::verify_layer(shop.store, blob, diff, cancel));
  const auto compression = oci::media_type::layer_compression(blob.media_type).value_or(oci::Compression::kGzip);
  return build::LayerFacts{.diff = diff,
                           .chain = oci::ChainId::first(diff),
                           .blob = {.media_type = std::string(oci::media_type::layer(oci::Family::kOci, compression)),
                                    .digest = blob.digest,
                                    .size = blob.size},
                           .tree_bytes = 0,
                           .created = entry.config.view().created};
}

Result<std::optional<build::LayerFacts>> ExecutorCache::find(const build::Workshop& shop,
                                                             const build::CacheableStep& step, const Cancel& cancel) {
  if (step.chain.has_missed()) return std::nullopt;
  const auto key = TRY(step.chain.key(cancel));
  if (!key) return std::nullopt;
  const auto entry = TRY(look(*key, cancel));
  if (entry && fits(*entry, step)) {
    auto facts = take(shop, *entry, *key, step.vertex, cancel);
    if (facts) {
      log_.info(fmt::format("Using caching version of cmd: {}", step.text));
      return std::optional(*std::move(facts));
    }
    TRY(cancel.check());
    log_.say(LogLevel::kWarn, fmt::format("the cached layer {} is not used: {}", place(*key), facts.error().message()));
  }
  log_.info(fmt::format("No cached layer found for cmd {}", step.text));
  step.chain.missed();
  return std::nullopt;
}

Status ExecutorCache::write(const build::Workshop& shop, const build::CacheableStep& step,
                            const build::LayerFacts& facts, const std::string& key, const Cancel& cancel) const {
  const auto compression = oci::media_type::layer_compression(facts.blob.media_type);
  const auto family = compression == oci::Compression::kZstd ? oci::Family::kOci : oci::Family::kDocker;
  oci::ImageConfigView view;
  view.platform = oci::Platform::host();
  view.created = now();
  view.diff_ids = {facts.diff};
  view.config.labels[kExactKey] = step.exact;
  oci::History line;
  line.created = view.created;
  line.author = "kaniko";
  line.created_by = step.text;
  view.history = {line};
  const auto config = oci::ImageConfig::make(std::move(view));
  const auto config_type = family == oci::Family::kOci ? oci::media_type::kOciConfig : oci::media_type::kDockerConfig;
  auto config_blob = TRY(keep_document(shop, config.raw(), config_type));
  const oci::Descriptor layer{
      .media_type = std::string(oci::media_type::layer(family, compression.value_or(oci::Compression::kGzip))),
      .digest = facts.blob.digest,
      .size = facts.blob.size};
  const auto manifest = oci::Manifest::make(family, std::move(config_blob), {layer});
  const auto target = TRY(keep_document(shop, manifest.raw(), manifest.descriptor().media_type));
  TRY(image::note_own_blobs(store::Origins(shop.store), manifest));
  if (in_layouts()) {
    const std::string directory = place(key).substr(4);
    TRY(sys::make_directories(directory, 0755));
    const std::string index = directory + "/index.json";  // an entry that has expired
    if (TRY(sys::lstat_at(AT_FDCWD, index))) TRY(sys::unlink_at(AT_FDCWD, index));
    return image::save_layout(shop.store,
                              {{.references = {},
                                .target = target.digest,
                                .media_type = target.media_type,
                                .holder = image::Holder::maker()}},
                              directory, cancel);
  }
  const oci::Reference name = TRY(oci::Reference::parse(place(key)));
  const image::Images images{shop.store, shop.lease, client_, shop.scope};
  (void)TRY(images.push(target.digest, target.media_type, name, log_, cancel, {.vertex = step.vertex}));
  return {};
}

void ExecutorCache::keep(const build::Workshop& shop, const build::CacheableStep& step, const build::LayerFacts& facts,
                         const Cancel& cancel) {
  if (!options_.push_cache || step.exact.empty()) return;
  const auto key = step.chain.key(cancel);
  if (!key || !*key) return;
  log_.info(fmt::format("Pushing layer {} to cache now", place(**key)));
  const Status written = write(shop, step, facts, **key, cancel);
  if (!written) log_.say(LogLevel::kWarn, fmt::format("Error uploading layer to cache: {}", written.error().message()));
}

}  // namespace slipway::cli
