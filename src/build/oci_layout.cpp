#include "build/oci_layout.hpp"

#include "base/text.hpp"
#include "image/layout_directory.hpp"

namespace slipway::build {
namespace {

constexpr int kIndexDepth = 4;

class Layout {
 public:
  static Result<Layout> open(const std::string& directory, const Workshop& shop, const Cancel& cancel) {
    auto layout = image::LayoutDirectory::open(directory);
    if (!layout) return std::unexpected(std::move(layout).error().add_context("while opening an OCI layout"));
    return Layout(*std::move(layout), shop, cancel);
  }

  Result<oci::Index> index() const {
    return oci::Index::parse(TRY(directory_.index_bytes()), oci::media_type::kOciIndex);
  }

  /// A small document, verified, in the store.
  Result<std::string> document(const oci::Descriptor& descriptor, std::int64_t limit) const {
    if (descriptor.size > limit)
      return fail(Code::kOutOfRange, "{} is said to have {} bytes; at most {} are taken", descriptor.digest.text(),
                  descriptor.size, limit);
    TRY(take(descriptor));
    return shop_.store.read_blob(descriptor.digest, limit);
  }

  /// A blob into the store, verified. What was taken before is not read again with every build.
  Status take(const oci::Descriptor& descriptor) const {
    (void)TRY(directory_.bring(shop_.store, shop_.lease, descriptor, cancel_));
    return {};
  }
  const store::Origin& origin() const { return directory_.origin(); }

 private:
  Layout(image::LayoutDirectory directory, const Workshop& shop, const Cancel& cancel)
      : directory_(std::move(directory)), shop_(shop), cancel_(cancel) {}
  image::LayoutDirectory directory_;
  const Workshop& shop_;
  const Cancel& cancel_;
};

}  // namespace

Result<image::Resolved> take_layout(const LayoutAddress& address, const oci::Reference& reference,
                                    const oci::Platform& platform, const Workshop& shop, const Cancel& cancel) {
  const auto work = [&]() -> Result<image::Resolved> {
    const Layout layout = TRY(Layout::open(address.directory, shop, cancel));
    const oci::Descriptor target = TRY(image::choose(TRY(layout.index()), address.tag, address.digest));
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
    image::Resolved image{reference, target.digest, target.media_type, std::move(manifest), std::move(config)};
    image.own = layout.origin();
    return image;
  };
  return context(work(), "while reading the OCI layout {}", quoted(address.directory, 300));
}

}  // namespace slipway::build
