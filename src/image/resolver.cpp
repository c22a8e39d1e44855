#include "image/resolver.hpp"

#include "base/text.hpp"

namespace slipway::image {
namespace {

constexpr int kIndexDepth = 4;
/// By canonical name: "DIGEST TYPE" of the document that its registry gave last. A guess: it decides whether a HEAD may
/// be enough.
constexpr std::string_view kTagged = "tagged";

bool is_image_config(std::string_view type) {
  return type == oci::media_type::kOciConfig || type == oci::media_type::kDockerConfig;
}

}  // namespace

Error Resolver::absent(std::string what) const {
  return Error(Code::kNotFound, std::move(what)).with_hint("`slipway pull " + reference_.familiar() + "` fetches it");
}

Result<Resolver::Document> Resolver::ask_registry(const oci::Reference& reference) {
  const auto& proofs = transfers_.proofs();
  word_ = word_of(proofs.repository());
  const auto arrive = [&](const oci::Digest& document) -> Status {
    TRY(store::Origins(images_.store).arrived(proofs.repository(), document));
    descend(document);
    return {};
  };
  if (auto proven = TRY(prove(reference))) {
    TRY(arrive(proven->digest));
    return *std::move(proven);
  }
  auto answer = transfers_.repository().manifest(reference, cancel_);
  transfers_.show_notices();
  auto document = TRY(std::move(answer));
  auto writer = TRY(images_.store.write_blob(images_.lease));
  TRY(writer.write(document.bytes));
  TRY(writer.commit({.digest = document.digest, .size = std::ssize(document.bytes)}));
  TRY(arrive(document.digest));
  TRY(images_.store.remember(kTagged, reference.canonical(),
                             fmt::format("{} {}", document.digest.text(), document.media_type)));
  return Document{std::move(document.bytes), std::move(document.media_type), document.digest};
}

Result<std::optional<Resolver::Document>> Resolver::document_here(const oci::Digest& digest, std::string media_type) {
  if (!TRY(images_.store.acquire_blob(images_.lease, digest))) return std::nullopt;
  return Document{TRY(images_.store.read_blob(digest, oci::kManifestLimit)), std::move(media_type), digest};
}

Result<std::optional<Resolver::Document>> Resolver::prove(const oci::Reference& reference) {
  const std::string last = TRY(images_.store.recall(kTagged, reference.canonical())).value_or("");
  const auto blank = std::min(last.find(' '), last.size());
  const auto guess = reference.digest() ? *reference.digest() : oci::Digest::parse(last.substr(0, blank));
  const auto had = [&](const oci::Digest& document) {
    return store::Origins(images_.store).had(transfers_.proofs().repository(), document);
  };
  if (!guess || !TRY(had(*guess)) || !TRY(document_here(*guess, ""))) return std::nullopt;
  auto answer = transfers_.repository().look_up(reference, cancel_);
  transfers_.show_notices();
  const auto named = TRY(std::move(answer));
  if (!named || !TRY(had(named->digest))) return std::nullopt;
  std::string media_type = named->media_type;
  if (media_type.empty() && named->digest == *guess) media_type = last.substr(std::min(blank + 1, last.size()));
  return document_here(named->digest, std::move(media_type));
}

void Resolver::descend(const oci::Digest& document) {
  transfers_.stand_for(own_origin(word_, transfers_.proofs().repository(), document), document);
}

Result<Resolver::Document> Resolver::start(bool& from_registry) {
  if (policy_ != PullPolicy::kAlways) {
    const auto name = TRY(images_.store.acquire_name(images_.lease, images_.scope, reference_));
    if (name) {
      word_ = name->word;
      descend(name->target);
      return Document{TRY(images_.store.read_blob(name->target, oci::kManifestLimit)), name->media_type, name->target};
    }
    if (policy_ == PullPolicy::kNever)
      return std::unexpected(absent("there is no image " + reference_.familiar() + " in the store"));
  }
  from_registry = true;
  return ask_registry(reference_);
}

Result<Resolver::Document> Resolver::child(const oci::Descriptor& descriptor) {
  if (descriptor.size > oci::kManifestLimit)
    return fail(Code::kOutOfRange, "the manifest {} is said to have {} bytes; at most {} are taken",
                descriptor.digest.text(), descriptor.size, oci::kManifestLimit);
  Document document{{}, descriptor.media_type, descriptor.digest};
  const Proofs index = transfers_.proofs();
  auto here = TRY(document_here(descriptor.digest, descriptor.media_type));
  if (here && TRY(index.hold(descriptor.digest))) {
    document.bytes = std::move(here->bytes);
    descend(descriptor.digest);
  } else if (policy_ == PullPolicy::kNever) {
    return std::unexpected(absent(
        fmt::format("the manifest {} of {} is not in the store", descriptor.digest.text(), reference_.familiar())));
  } else {
    document.bytes = TRY(ask_registry(reference_.with_digest(descriptor.digest))).bytes;
    if (!index.own()) TRY(index.note_served(descriptor.digest));
  }
  if (std::ssize(document.bytes) != descriptor.size)
    return fail(Code::kDataLoss, "the manifest {} has {} bytes, its index says {}", descriptor.digest.text(),
                document.bytes.size(), descriptor.size);
  return document;
}

Result<oci::Manifest> Resolver::select_manifest(Document document) {
  for (int depth = 0; depth <= kIndexDepth; ++depth) {
    const bool known =
        oci::media_type::is_manifest(document.media_type) || oci::media_type::is_index(document.media_type);
    const std::string type = known ? document.media_type : "";
    // Without a type that says what it is (some registries answer application/json) the body has to.
    if (type.empty() || oci::media_type::is_manifest(type)) {
      auto manifest = oci::Manifest::parse(document.bytes, type);
      if (manifest || known) return manifest;
    }
    const auto index = TRY(oci::Index::parse(std::move(document.bytes), type));
    auto chosen = index.select(platform_);
    other_platform_ = !chosen;
    document = TRY(child(TRY(std::move(chosen))));
  }
  return fail(Code::kInvalidArgument, "indexes are nested more than {} levels deep", kIndexDepth);
}

Result<oci::ImageConfig> Resolver::load_config(const oci::Manifest& manifest) {
  const oci::Descriptor& descriptor = manifest.config();
  if (!is_image_config(descriptor.media_type))
    return fail(Code::kFailedPrecondition, "it is not a container image: its config is {}",
                slipway::quoted(descriptor.media_type, 128));
  if (descriptor.size > oci::kConfigLimit)
    return fail(Code::kOutOfRange, "its config is said to have {} bytes; at most {} are taken", descriptor.size,
                oci::kConfigLimit);
  if (policy_ == PullPolicy::kNever) {
    if (!TRY(images_.store.acquire_blob(images_.lease, descriptor.digest)) ||
        !TRY(transfers_.proofs().hold(descriptor.digest)))
      return std::unexpected(absent("the config of " + reference_.familiar() + " is not in the store"));
  } else {
    (void)TRY(transfers_.ensure(descriptor, nullptr, cancel_));
  }
  return oci::ImageConfig::parse(TRY(images_.store.read_blob(descriptor.digest, oci::kConfigLimit)));
}

Status Resolver::check(const oci::Manifest& manifest, const oci::ImageConfig& config) {
  const auto& view = config.view();
  if (view.diff_ids.size() != manifest.layers().size())
    return fail(Code::kDataLoss, "its manifest has {} layers and its config {}", manifest.layers().size(),
                view.diff_ids.size());
  for (const auto& layer : manifest.layers())
    if (!oci::media_type::layer_compression(layer.media_type))
      return fail(Code::kFailedPrecondition, "its layer {} is no file system layer: {}", layer.digest.text(),
                  slipway::quoted(layer.media_type, 128));
  if (platform_.accepts(view.platform)) return {};
  std::string text = fmt::format("{} is an image for {}, not for {}", reference_.familiar(),
                                 printable(view.platform.text(), 128), platform_.text());
  other_platform_ = true;
  if (local_)
    return std::unexpected(
        Error(Code::kNotFound, std::move(text))
            .with_hint(fmt::format("--platform {} builds for what it is", printable(view.platform.text(), 128))));
  // There is nothing else, and it may be labelled wrong: as docker and BuildKit do.
  sink_.on(progress::Warning{std::move(text) + "; there is no other, it is taken all the same"});
  return {};
}

Result<Resolved> Resolver::resolve(Document target) {
  const oci::Digest digest = target.digest;
  std::string type = target.media_type;
  const auto load = [&]() -> Result<std::pair<oci::Manifest, oci::ImageConfig>> {
    auto manifest = TRY(select_manifest(std::move(target)));
    auto config = TRY(load_config(manifest));
    TRY(check(manifest, config));
    return std::pair(std::move(manifest), std::move(config));
  };
  auto [manifest, config] = TRY(context(load(), "while resolving {}", reference_.familiar()));
  const bool known = oci::media_type::is_manifest(type) || oci::media_type::is_index(type);
  if (!known) type = digest == manifest.digest() ? manifest.media_type() : std::string(oci::media_type::kOciIndex);
  Resolved image{reference_, digest, std::move(type), std::move(manifest), std::move(config)};
  image.own = transfers_.proofs().own();
  return image;
}

Result<Resolver::Answer> Resolver::run() {
  bool from_registry = false;
  Document target = TRY(start(from_registry));
  local_ = !from_registry;
  const std::string word = word_;
  auto image = resolve(std::move(target));
  if (!image && local_ && other_platform_ && policy_ == PullPolicy::kMissing) {
    // What is here by this name is for others. The registry may have it for us; the name stays what it is.
    auto elsewhere = ask_registry(reference_);
    if (!elsewhere)
      return std::unexpected(std::move(image).error().add_context(
          fmt::format("that is what is in the store; the registry says: {}", elsewhere.error().message())));
    local_ = false;
    image = resolve(*std::move(elsewhere));
  }
  if (!image && local_ && word.empty() && image.error().hint().empty())
    return std::unexpected(
        std::move(image).error().with_hint("nothing says where it came from (an older version put it here, or the "
                                           "store's database was lost): pull, load or "
                                           "build it once more"));
  return Answer{TRY(std::move(image)), from_registry, word};
}

}  // namespace slipway::image
