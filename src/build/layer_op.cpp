#include "build/layer_op.hpp"

namespace slipway::build {

Timestamp OpContext::created() const { return epoch ? Timestamp{*epoch, 0} : now(); }

Error Place::locate(Error error) const {
  if (file == nullptr || source == nullptr || error.range() || error.code() == Code::kCancelled) return error;
  return dockerfile::at(*file, *source, std::move(error));
}

Result<solver::OutputPtr> LayerOp::run(const std::vector<solver::OutputPtr>& inputs, const Cancel& cancel) {
  const auto work = [&]() -> Result<solver::OutputPtr> {
    const Stack& base = static_cast<const Stack&>(*inputs[0]);
    const auto lowers = TRY(base.lowers(context_.shop, place_.id, cancel));
    store::SnapshotDraft draft = TRY(context_.shop.store.draft_snapshot(context_.shop.lease));
    TRY(fill(draft, lowers, inputs, cancel));
    auto layer = std::make_shared<Layer>(std::move(draft), context_.created());
    if (off_key_) layer->set_off_key();
    auto stack = base.with(std::move(layer));
    // With clamped times the tree is not what its dependents must see: they wait for the layer.
    if (context_.clamp) TRY(commit_top(context_.shop, *stack, {.clamp_mtime = context_.clamp}, cancel));
    return stack;
  };
  auto output = work();
  if (!output) return std::unexpected(place_.locate(context_.shop.store.explain(std::move(output).error())));
  return output;
}

Result<std::string> LayerOp::finish(const solver::Output& output, const Cancel& cancel) {
  const Stack& stack = static_cast<const Stack&>(output);
  if (!context_.clamp) {
    if (Status done = commit_top(context_.shop, stack, {}, cancel); !done)
      return std::unexpected(place_.locate(std::move(done).error()));
  }
  return stack.encode();
}

}  // namespace slipway::build
