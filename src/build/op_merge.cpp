#include "build/buildkit_step.hpp"
#include "build/definition.hpp"
#include "build/ops.hpp"
#include "buildcache/keys.hpp"

namespace slipway::build {
namespace {

/// COPY --link: input 1's one layer upon input 0's. Costs nothing, so nothing is recorded of it: when only the base
/// changed, the link's own record still hits and this op puts it upon the other base.
class MergeOp final : public DescribedOp {
 public:
  MergeOp(const OpContext& context, Place place) : context_(context), place_(std::move(place)) {}

  std::string_view kind() const override { return "merge"; }
  Result<solver::Key> definition(const Cancel&) override { return oci::Digest::of("merge"); }
  Result<solver::OutputPtr> load(std::string_view, const std::vector<solver::Key>&, const Cancel&) override {
    return fail(Code::kNotFound, "merges are not recorded");
  }
  Result<solver::OutputPtr> run(const std::vector<solver::OutputPtr>& inputs, const Cancel&) override {
    const Stack& base = static_cast<const Stack&>(*inputs[0]);
    const Stack& link = static_cast<const Stack&>(*inputs[1]);
    return base.with(std::make_shared<Layer>(link.layers().back()));
  }
  /// The inputs are finished: now the layer has a name, and where its parent is unpacked, the tree gets it.
  Result<std::string> finish(const solver::Output& output, const Cancel&) override {
    const Stack& stack = static_cast<const Stack&>(output);
    const auto& layers = stack.layers();
    const Layer& top = *layers.back();
    const auto parent = Stack(std::vector(layers.begin(), layers.end() - 1)).chain();
    const auto original = top.original()->facts();
    if (!original) return fail(Code::kInternal, "a linked layer was not finished");
    top.place_upon(parent);
    if (!parent) return std::string();
    const auto shared = context_.shop.store.share_snapshot(context_.shop.lease, original->chain, parent);
    if (!shared) return std::unexpected(place_.locate(shared.error()));
    if (*shared) top.set_shared();
    return std::string();
  }
  bool recorded() const override { return false; }
  Result<std::optional<BuildkitStep>> buildkit_step(const BuildkitAsk& ask, const Cancel&) override {
    if (ask.nothing[0]) return std::nullopt;  // nothing is merged there
    return BuildkitStep{
        .digests = {buildcache::output_key(buildcache::merge_digest(2))},
        .inputs = {{.input = 0, .selector = {}, .roots = {}}, {.input = 1, .selector = {}, .roots = {}}}};
  }

 protected:
  Status describe(Definition&, const Cancel&) override { return {}; }

 private:
  const OpContext& context_;
  Place place_;
};

}  // namespace

std::shared_ptr<solver::Op> merge_op(const OpContext& context, Place place) {
  return std::make_shared<MergeOp>(context, std::move(place));
}

}  // namespace slipway::build
