// details, find: the documents behind a name, and the name behind what a user typed (image.hpp).
#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "image/image.hpp"
#include "image/walk.hpp"

namespace slipway::image {
namespace {

constexpr int kIndexDepth = 4;

Error not_here(const oci::Descriptor& entry, const oci::Platform& platform) {
  return Error(Code::kNotFound, fmt::format("its image for {}, {}, is not here", platform.text(), entry.digest.text()))
      .with_hint(fmt::format("`slipway pull --platform {}` fetches it", platform.text()));
}

/// The manifest for `platform`, through indexes.
Result<oci::Manifest> manifest_for(store::Store& store, const Holder& holder, oci::Digest digest,
                                   std::string media_type, const oci::Platform& platform) {
  for (int depth = 0; depth < kIndexDepth; ++depth) {
    std::string raw = TRY(store.read_blob(digest, oci::kManifestLimit));
    if (!oci::media_type::is_index(media_type)) return oci::Manifest::parse(std::move(raw), media_type);
    const auto entry = TRY(TRY(oci::Index::parse(std::move(raw), media_type)).select(platform));
    if (!TRY(holder.has(store, digest, entry.digest))) return std::unexpected(not_here(entry, platform));
    digest = entry.digest;
    media_type = entry.media_type;
  }
  return fail(Code::kInvalidArgument, "indexes are nested too deep");
}

/// The manifest for this machine, or the first that is here.
Result<oci::Manifest> any_manifest(store::Store& store, const Holder& holder, const oci::Digest& digest,
                                   const std::string& media_type) {
  auto own = manifest_for(store, holder, digest, media_type, oci::Platform::host());
  if (own || own.error().code() != Code::kNotFound) return own;
  auto here = TRY(present_images(store, holder, digest, media_type));
  return here.empty() ? std::move(own) : std::move(here[0].manifest);
}

Result<oci::ImageConfig> config_of(store::Store& store, const Holder& holder, const oci::Manifest& manifest) {
  const oci::Digest& config = manifest.config().digest;
  if (!TRY(holder.has(store, manifest.digest(), config)))
    return fail(Code::kNotFound,
                "nothing says that the config {} is its own, since it came from elsewhere, or the store's database was"
                " lost or is of an older version: pull, load or build it once more",
                config.text());
  return oci::ImageConfig::parse(TRY(store.read_blob(config, oci::kConfigLimit)));
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

Holder holder_of(const std::vector<std::string>& names) {
  std::vector<oci::Reference> references;
  for (const auto& name : names)
    if (auto reference = oci::Reference::parse(name)) references.push_back(*std::move(reference));
  return Holder(std::move(references));
}

/// By its id.
Found found(const oci::Digest& digest, const std::map<oci::Digest, Target>& targets) {
  const Target& target = targets.at(digest);
  return {digest, target.media_type, target.references, holder_of(target.references)};
}

/// By one of its names, or by name@digest: those of that repository.
std::optional<Found> by_name(const oci::Reference& wanted, const std::map<oci::Digest, Target>& targets) {
  for (const auto& [digest, target] : targets)
    if (std::ranges::find(target.references, wanted.canonical()) != target.references.end())
      return Found{digest, target.media_type, target.references, Holder({wanted})};
  if (!wanted.digest()) return std::nullopt;
  const auto target = targets.find(*wanted.digest());
  if (target == targets.end()) return std::nullopt;
  Found named = found(target->first, targets);
  std::vector<oci::Reference> names = named.holder.names();
  std::erase_if(names, [&](const auto& name) { return name.familiar_name() != wanted.familiar_name(); });
  if (names.empty()) return std::nullopt;
  named.holder = Holder(std::move(names));
  return named;
}

/// By the digest, or a beginning of it, of a config (docker's image id) or of what a name points at.
Result<std::optional<oci::Digest>> by_id(store::Store& store, const std::map<oci::Digest, Target>& targets,
                                         std::string_view hex, const std::string& text) {
  std::optional<oci::Digest> match;
  for (const auto& [digest, target] : targets) {
    bool fits = digest.hex().starts_with(hex);
    if (!fits) {
      // an image whose documents are broken has no id to be found by; its names still work
      const auto images = present_images(store, holder_of(target.references), digest, target.media_type);
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

Result<std::vector<PresentImage>> present_images(const store::Store& store, const Holder& holder,
                                                 const oci::Digest& target, const std::string& media_type) {
  std::vector<PresentImage> out;
  const auto is_image = [](const oci::Descriptor& entry) {
    return !oci::is_attestation(entry) &&
           (oci::media_type::is_manifest(entry.media_type) || oci::media_type::is_index(entry.media_type));
  };
  const Cancel never;
  const Walk walk{store, holder, never, is_image};
  TRY(walk.run({.media_type = media_type, .digest = target}, [&](const Walked& at) -> Status {
    if (at.manifest) out.push_back({at.descriptor, *at.manifest});
    return {};
  }));
  return out;
}

Result<Details> details(store::Store& store, const Holder& holder, const oci::Digest& target,
                        const std::string& media_type, const std::optional<oci::Platform>& platform) {
  auto read = [&]() -> Result<Details> {
    auto manifest = platform ? TRY(manifest_for(store, holder, target, media_type, *platform))
                             : TRY(any_manifest(store, holder, target, media_type));
    auto config = TRY(config_of(store, holder, manifest));
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
    if (auto named = by_name(*reference, targets)) return *std::move(named);
  } else if (!is_id) {
    return std::unexpected(std::move(reference).error());
  }
  if (is_id)
    if (const auto match = TRY(by_id(store, targets, bare, text))) return found(*match, targets);
  return std::unexpected(no_image(text));
}

}  // namespace slipway::image
