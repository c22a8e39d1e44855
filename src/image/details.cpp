// details, find: the documents behind a name, and the name behind what a user typed (image.hpp).
#include <algorithm>
#include <deque>
#include <map>

#include "base/text.hpp"
#include "image/image.hpp"

namespace slipway::image {
namespace {

constexpr int kIndexDepth = 4;
constexpr std::size_t kDocumentVisits = 10'000;

/// The manifest for `platform`, through indexes.
Result<oci::Manifest> manifest_for(store::Store& store, oci::Digest digest, std::string media_type,
                                   const oci::Platform& platform) {
  for (int depth = 0; depth < kIndexDepth; ++depth) {
    std::string raw = TRY(store.read_blob(digest, oci::kManifestLimit));
    if (!oci::media_type::is_index(media_type)) return oci::Manifest::parse(std::move(raw), media_type);
    const auto entry = TRY(TRY(oci::Index::parse(std::move(raw), media_type)).select(platform));
    digest = entry.digest;
    media_type = entry.media_type;
  }
  return fail(Code::kInvalidArgument, "indexes are nested too deep");
}

/// The manifest for this machine, or the first that is here.
Result<oci::Manifest> any_manifest(store::Store& store, const oci::Digest& digest, const std::string& media_type) {
  auto own = manifest_for(store, digest, media_type, oci::Platform::host());
  if (own || own.error().code() != Code::kNotFound) return own;
  auto here = TRY(present_images(store, digest, media_type));
  return here.empty() ? std::move(own) : std::move(here[0].manifest);
}

/// Bytes of all layers: unpacked where that is known, else as they are stored.
Result<std::int64_t> size_of(const store::Store& store, const oci::Manifest& manifest, const oci::ImageConfig& config) {
  const auto& layers = manifest.layers();
  const auto& diffs = config.view().diff_ids;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::int64_t size = layers[i].size;
    if (i < diffs.size())
      if (const auto known = TRY(store.layer_blobs(diffs[i])); !known.empty()) size = known[0].tree_bytes;
    if (__builtin_add_overflow(sum, size, &sum)) return fail(Code::kOutOfRange, "the layers' sizes are too large");
  }
  return sum;
}

bool is_lower_hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Error no_image(const std::string& text) {
  return Error(Code::kNotFound, fmt::format("no such image: {}", quoted(text, 300)))
      .with_hint("'slipway images' lists what is here");
}

/// Names by target.
struct Target {
  std::string media_type;
  std::vector<std::string> references;
};
std::map<oci::Digest, Target> by_target(const std::vector<store::Name>& names) {
  std::map<oci::Digest, Target> targets;
  for (const auto& name : names) {
    auto& target = targets[name.target];
    target.media_type = name.media_type;
    if (!name.reference.empty()) target.references.push_back(name.reference);
  }
  return targets;
}

Found found(const oci::Digest& digest, const std::map<oci::Digest, Target>& targets) {
  const Target& target = targets.at(digest);
  return {digest, target.media_type, target.references};
}

/// By the digest, or a beginning of it, of a config (docker's image id) or of what a name points at.
Result<std::optional<oci::Digest>> by_id(store::Store& store, const std::map<oci::Digest, Target>& targets,
                                         std::string_view hex, const std::string& text) {
  std::optional<oci::Digest> match;
  for (const auto& [digest, target] : targets) {
    bool fits = digest.hex().starts_with(hex);
    if (!fits) {
      // an image whose documents are broken has no id to be found by; its names still work
      const auto images = present_images(store, digest, target.media_type);
      fits = images && std::ranges::any_of(*images, [&](const PresentImage& image) {
               return image.manifest.config().digest.hex().starts_with(hex);
             });
    }
    if (!fits) continue;
    if (match) return fail(Code::kInvalidArgument, "image id {} is ambiguous; write more of it", quoted(text, 100));
    match = digest;
  }
  return match;
}

}  // namespace

Result<std::vector<PresentImage>> present_images(const store::Store& store, const oci::Digest& target,
                                                 const std::string& media_type) {
  std::vector<PresentImage> out;
  std::deque<std::pair<oci::Descriptor, int>> queue;
  queue.emplace_back(oci::Descriptor{.media_type = media_type, .digest = target}, 0);
  for (std::size_t visits = 0; !queue.empty(); ++visits) {
    if (visits > kDocumentVisits) return fail(Code::kResourceExhausted, "the image has too many manifests");
    const auto [descriptor, depth] = std::move(queue.front());
    queue.pop_front();
    auto raw = store.read_blob(descriptor.digest, oci::kManifestLimit);
    if (!raw && raw.error().code() == Code::kNotFound && depth > 0) continue;
    std::string bytes = TRY(std::move(raw));
    if (!oci::media_type::is_index(descriptor.media_type)) {
      auto manifest = TRY(oci::Manifest::parse(std::move(bytes), descriptor.media_type));
      out.push_back({descriptor, std::move(manifest)});
      continue;
    }
    if (depth == kIndexDepth) return fail(Code::kInvalidArgument, "indexes are nested too deep");
    const auto index = TRY(oci::Index::parse(std::move(bytes), descriptor.media_type));
    for (const auto& entry : index.manifests())
      if (!oci::is_attestation(entry) &&
          (oci::media_type::is_manifest(entry.media_type) || oci::media_type::is_index(entry.media_type)))
        queue.emplace_back(entry, depth + 1);
  }
  return out;
}

Result<Details> details(store::Store& store, const oci::Digest& target, const std::string& media_type,
                        const std::optional<oci::Platform>& platform) {
  auto read = [&]() -> Result<Details> {
    auto manifest = platform ? TRY(manifest_for(store, target, media_type, *platform))
                             : TRY(any_manifest(store, target, media_type));
    auto config = TRY(oci::ImageConfig::parse(TRY(store.read_blob(manifest.config().digest, oci::kConfigLimit))));
    const std::int64_t size = TRY(size_of(store, manifest, config));
    return Details{target, media_type, std::move(manifest), std::move(config), size};
  };
  return context(read(), "while reading image {}", target.text());
}

Result<Found> find(store::Store& store, std::string_view scope, const std::string& text) {
  const auto targets = by_target(TRY(store.list_names(scope)));
  const std::string_view bare = std::string_view(text).starts_with("sha256:") ? std::string_view(text).substr(7) : text;
  const bool is_id = is_lower_hex(bare) && bare.size() <= 64;
  // as docker: a whole id counts before a name, a name before the beginning of an id
  if (is_id && bare.size() == 64)
    if (const auto match = TRY(by_id(store, targets, bare, text))) return found(*match, targets);
  if (const auto reference = oci::Reference::parse(text)) {
    const std::string wanted = reference->canonical();
    for (const auto& [digest, target] : targets) {
      const auto& names = target.references;
      if (std::find(names.begin(), names.end(), wanted) != names.end()) return found(digest, targets);
    }
    if (reference->digest()) {  // name@digest: what any name of this repository points at
      if (const auto target = targets.find(*reference->digest()); target != targets.end()) {
        for (const auto& name : target->second.references) {
          const auto other = oci::Reference::parse(name);
          if (other && other->familiar_name() == reference->familiar_name()) return found(target->first, targets);
        }
      }
    }
  } else if (!is_id) {
    return std::unexpected(std::move(reference).error());
  }
  if (is_id)
    if (const auto match = TRY(by_id(store, targets, bare, text))) return found(*match, targets);
  return std::unexpected(no_image(text));
}

}  // namespace slipway::image
