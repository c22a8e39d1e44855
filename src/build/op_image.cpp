#include "build/buildkit_step.hpp"
#include "build/definition.hpp"
#include "build/ops.hpp"
#include "buildcache/keys.hpp"

namespace slipway::build {
namespace {

/// SOURCE_DATE_EPOCH decides the times in every layer, so it is in the key of what all steps stand on.
std::string epoch_text(const OpContext& context) {
  if (!context.epoch) return {};
  return fmt::format(" epoch {}{}", *context.epoch, context.clamp ? "" : " of history only");
}

/// These keys are older than their parts: what was recorded under them holds.
void describe_epoch(const OpContext& context, Definition& definition) {
  if (context.epoch) definition.part(What::kEpoch).add("epoch", epoch_text(context));
}

class ImageOp final : public DescribedOp {
 public:
  ImageOp(const OpContext& context, Place place, std::shared_ptr<const image::Resolved> image)
      : context_(context), place_(std::move(place)), image_(std::move(image)) {}

  std::string_view kind() const override { return "image"; }
  Result<solver::Key> definition(const Cancel&) override {
    return oci::Digest::of("image layers" + epoch_text(context_) + layers_text());
  }
  Result<solver::OutputPtr> load(std::string_view, const std::vector<solver::Key>&, const Cancel&) override {
    return fail(Code::kNotFound, "sources are not recorded");
  }
  Result<solver::OutputPtr> run(const std::vector<solver::OutputPtr>&, const Cancel&) override {
    auto stack = stack_of(image_);
    if (!stack) return std::unexpected(place_.locate(std::move(stack).error()));
    return *std::move(stack);
  }
  Result<std::string> finish(const solver::Output&, const Cancel&) override { return std::string(); }
  bool recorded() const override { return false; }
  /// The key is made of diff IDs, which stand in a config: what others claim to be gets no layers of this image.
  std::string identity() const override { return identity_of(context_, *image_); }
  const image::Resolved* image() const override { return image_.get(); }
  Result<std::optional<BuildkitStep>> buildkit_step(const BuildkitAsk&, const Cancel&) override {
    BuildkitStep step;
    step.digests.push_back(buildcache::image_by_manifest(image_->target, image_->config.view().platform.normalized()));
    std::optional<oci::ChainId> chain;
    for (const auto& diff : image_->config.view().diff_ids)
      chain = chain ? chain->next(diff) : oci::ChainId::first(diff);
    if (chain) step.digests.push_back(buildcache::image_by_layers(*chain));
    return step;
  }

 protected:
  Status describe(Definition& definition, const Cancel&) override {
    definition.part(What::kBase, image_->reference.canonical()).add("layers", layers_text());
    describe_epoch(context_, definition);
    return {};
  }

 private:
  std::string layers_text() const {
    std::string text;
    for (const auto& diff : image_->config.view().diff_ids) text += " " + diff.digest.text();
    return text;
  }

  const OpContext& context_;
  Place place_;
  std::shared_ptr<const image::Resolved> image_;
};

class ScratchOp final : public DescribedOp {
 public:
  explicit ScratchOp(const OpContext& context) : context_(context) {}
  std::string_view kind() const override { return "scratch"; }
  Result<solver::Key> definition(const Cancel&) override { return oci::Digest::of("scratch" + epoch_text(context_)); }
  Result<solver::OutputPtr> load(std::string_view, const std::vector<solver::Key>&, const Cancel&) override {
    return fail(Code::kNotFound, "sources are not recorded");
  }
  Result<solver::OutputPtr> run(const std::vector<solver::OutputPtr>&, const Cancel&) override {
    return std::make_shared<Stack>();
  }
  Result<std::string> finish(const solver::Output&, const Cancel&) override { return std::string(); }
  bool recorded() const override { return false; }

 protected:
  Status describe(Definition& definition, const Cancel&) override {
    definition.part(What::kBase, "scratch");
    describe_epoch(context_, definition);
    return {};
  }

 private:
  const OpContext& context_;
};

}  // namespace

std::string identity_of(const OpContext& context, const image::Resolved& image) {
  const store::Origin origin = context.shop.images.origin(image);
  return fmt::format("{}/{} {}", origin.registry, origin.repository, image.manifest.digest().text());
}

std::shared_ptr<solver::Op> image_op(const OpContext& context, Place place,
                                     std::shared_ptr<const image::Resolved> image) {
  return std::make_shared<ImageOp>(context, std::move(place), std::move(image));
}

std::shared_ptr<solver::Op> scratch_op(const OpContext& context) { return std::make_shared<ScratchOp>(context); }

}  // namespace slipway::build
