#include "build/oci_layout.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr int kIndexDepth = 4;
constexpr std::string_view kName = "org.opencontainers.image.ref.name";

class Layout {
 public:
  static Result<Layout> open(const std::string& directory, const Workshop& shop, const Cancel& cancel) {
    auto root = sys::open(directory, O_RDONLY | O_DIRECTORY);
    if (!root) return std::unexpected(std::move(root).error().add_context("while opening an OCI layout"));
    return Layout(*std::move(root), directory, shop, cancel);
  }

  Result<oci::Index> index() const {
    const sys::Fd file = TRY(sys::open_beneath(root_.get(), "index.json", O_RDONLY | O_NONBLOCK));
    return oci::Index::parse(TRY(sys::read_all(file.get(), oci::kManifestLimit)), oci::media_type::kOciIndex);
  }

  /// A small document, verified, in the store.
  Result<std::string> document(const oci::Descriptor& descriptor, std::int64_t limit) const {
    if (descriptor.size > limit)
      return fail(Code::kOutOfRange, "{} is said to have {} bytes; at most {} are taken", descriptor.digest.text(),
                  descriptor.size, limit);
    TRY(take(descriptor));
    return shop_.store.read_blob(descriptor.digest, limit);
  }

  /// A blob into the store, verified.
  Status take(const oci::Descriptor& descriptor) const {
    if (TRY(shop_.store.acquire_blob(shop_.lease, descriptor.digest))) return {};
    const std::string path =
        fmt::format("blobs/{}/{}", descriptor.digest.algorithm() == oci::Algorithm::kSha256 ? "sha256" : "sha512",
                    descriptor.digest.hex());
    const sys::Fd file = TRY(sys::open_beneath(root_.get(), path, O_RDONLY | O_NONBLOCK));
    auto writer = TRY(shop_.store.write_blob(shop_.lease));
    std::string buffer(256 * 1024, '\0');
    while (const std::size_t got = TRY(sys::read_some(file.get(), buffer.data(), buffer.size()))) {
      TRY(cancel_.check());
      if (writer.written() + static_cast<std::int64_t>(got) > descriptor.size)
        return fail(Code::kDataLoss, "{} has more than {} bytes", path, descriptor.size);
      TRY(writer.write({buffer.data(), got}));
    }
    (void)TRY(writer.commit({.digest = descriptor.digest, .size = descriptor.size}));
    return {};
  }

 private:
  Layout(sys::Fd root, std::string directory, const Workshop& shop, const Cancel& cancel)
      : root_(std::move(root)), directory_(std::move(directory)), shop_(shop), cancel_(cancel) {}
  sys::Fd root_;
  std::string directory_;
  const Workshop& shop_;
  const Cancel& cancel_;
};

bool is_called(const oci::Descriptor& descriptor, const std::string& tag) {
  const auto name = descriptor.annotations.find(std::string(kName));
  return name != descriptor.annotations.end() && (name->second == tag || name->second.ends_with(":" + tag));
}

Result<oci::Descriptor> choose(const oci::Index& index, const LayoutAddress& address) {
  const auto& all = index.manifests();
  if (!address.digest.empty()) {
    const oci::Digest digest = TRY(oci::Digest::parse(address.digest));
    for (const auto& descriptor : all)
      if (descriptor.digest == digest) return descriptor;
    return fail(Code::kNotFound, "its index.json does not name {}", digest.text());
  }
  const std::string tag = address.tag.empty() ? "latest" : address.tag;
  for (const auto& descriptor : all)
    if (is_called(descriptor, tag)) return descriptor;
  if (address.tag.empty() && all.size() == 1) return all[0];
  return fail(Code::kNotFound, "it has no image called {}", quoted(tag, 200));
}

}  // namespace

Result<image::Resolved> take_layout(const LayoutAddress& address, const oci::Reference& reference,
                                    const oci::Platform& platform, const Workshop& shop, const Cancel& cancel) {
  const auto work = [&]() -> Result<image::Resolved> {
    const Layout layout = TRY(Layout::open(address.directory, shop, cancel));
    const oci::Descriptor target = TRY(choose(TRY(layout.index()), address));
    oci::Descriptor descriptor = target;
    for (int depth = 0; oci::media_type::is_index(descriptor.media_type); ++depth) {
      if (depth == kIndexDepth) return fail(Code::kInvalidArgument, "indexes are nested too deep");
      descriptor =
          TRY(TRY(oci::Index::parse(TRY(layout.document(descriptor, oci::kManifestLimit)), descriptor.media_type))
                  .select(platform));
    }
    auto manifest =
        TRY(oci::Manifest::parse(TRY(layout.document(descriptor, oci::kManifestLimit)), descriptor.media_type));
    auto config = TRY(oci::ImageConfig::parse(TRY(layout.document(manifest.config(), oci::kConfigLimit))));
    if (config.view().diff_ids.size() != manifest.layers().size())
      return fail(Code::kDataLoss, "its manifest has {} layers and its config {}", manifest.layers().size(),
                  config.view().diff_ids.size());
    for (const auto& layer : manifest.layers()) {
      if (!oci::media_type::layer_compression(layer.media_type))
        return fail(Code::kFailedPrecondition, "its layer {} is no file system layer", layer.digest.text());
      TRY(layout.take(layer));
    }
    return image::Resolved{reference, target.digest, target.media_type, std::move(manifest), std::move(config)};
  };
  return context(work(), "while reading the OCI layout {}", quoted(address.directory, 300));
}

}  // namespace slipway::build
