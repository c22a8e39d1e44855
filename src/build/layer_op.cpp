#include "build/layer_op.hpp"

#include <algorithm>

#include "build/cache_import.hpp"
#include "build/recompress.hpp"

namespace slipway::build {

Timestamp OpContext::created() const { return epoch ? Timestamp{*epoch, 0} : now(); }

Error Place::locate(Error error) const {
  if (file == nullptr || source == nullptr || error.range() || error.code() == Code::kCancelled) return error;
  return dockerfile::at(*file, *source, std::move(error));
}

namespace {

/// What of --cache-from a step rests upon: all that its inputs do.
std::vector<std::string> rests_upon(const std::vector<solver::OutputPtr>& inputs) {
  std::vector<std::string> all;
  for (const auto& input : inputs)
    for (auto& cache : static_cast<const Stack&>(*input).caches()) all.push_back(std::move(cache));
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace

Result<solver::OutputPtr> load_stack(const OpContext& context, std::string_view value, const Cancel& cancel) {
  auto stack = context.caches != nullptr ? context.caches->decode(value) : Stack::decode(value);
  if (!stack) return fail(Code::kNotFound, "the record is of another version");
  if (context.caches != nullptr) TRY(context.caches->check(**stack, cancel));
  return *std::move(stack);
}

Result<solver::OutputPtr> LayerOp::load(std::string_view value, const std::vector<solver::Key>&, const Cancel& cancel) {
  return load_stack(context_, value, cancel);
}

Result<solver::OutputPtr> LayerOp::run(const std::vector<solver::OutputPtr>& inputs, const Cancel& cancel) {
  const auto work = [&]() -> Result<solver::OutputPtr> {
    const Stack& base = static_cast<const Stack&>(*inputs[0]);
    if (auto cached = TRY(from_cache(base, cancel))) return *std::move(cached);
    const auto lowers = TRY(base.lowers(context_.shop, place_.id, cancel));
    store::SnapshotDraft draft = TRY(context_.shop.store.draft_snapshot(context_.shop.lease));
    TRY(fill(draft, lowers, inputs, cancel));
    auto layer = std::make_shared<Layer>(std::move(draft), context_.created());
    if (off_key_) layer->set_off_key();
    layer->set_caches(rests_upon(inputs));
    auto stack = base.with(std::move(layer));
    // With clamped times the tree is not what its dependents must see: they wait for the layer.
    if (context_.clamp) TRY(commit_top(context_.shop, *stack, {.clamp_mtime = context_.clamp}, cancel));
    return stack;
  };
  auto output = work();
  if (!output) return std::unexpected(place_.locate(context_.shop.store.explain(std::move(output).error())));
  return output;
}

/// The layer of a StepCache stands upon what may not have a name yet: finish() places it.
Result<std::optional<solver::OutputPtr>> LayerOp::from_cache(const Stack& base, const Cancel& cancel) const {
  if (context_.step_cache == nullptr || !place_.cacheable) return std::nullopt;
  auto facts = TRY(context_.step_cache->find(context_.shop, *place_.cacheable, cancel));
  if (!facts) return std::nullopt;
  facts->chain = oci::ChainId::first(facts->diff);
  facts->without_tree = true;
  const auto alone = std::make_shared<Layer>(*std::move(facts), nullptr);
  return base.with(std::make_shared<Layer>(alone));
}

Status LayerOp::place_cached(const Stack& stack) const {
  const auto& layers = stack.layers();
  const Layer& top = *layers.back();
  const auto parent = Stack(std::vector(layers.begin(), layers.end() - 1)).chain();
  top.place_upon(parent);
  if (!parent) return {};
  const auto shared = context_.shop.store.share_snapshot(context_.shop.lease, top.original()->facts()->chain, parent);
  if (!shared) return std::unexpected(place_.locate(shared.error()));
  if (*shared) top.set_shared();
  return {};
}

Result<std::string> LayerOp::finish(const solver::Output& output, const Cancel& cancel) {
  const Stack& stack = static_cast<const Stack&>(output);
  const Layer& top = *stack.layers().back();
  if (top.original()) {
    TRY(place_cached(stack));
    TRY(fetch_layers(context_.shop, stack, place_.id, cancel));  // what a record names is here
    return stack.encode();
  }
  if (!context_.clamp) {
    if (Status done = commit_top(context_.shop, stack, {}, cancel); !done)
      return std::unexpected(place_.locate(std::move(done).error()));
  }
  if (context_.step_cache != nullptr && place_.cacheable && !top.off_key())
    context_.step_cache->keep(context_.shop, *place_.cacheable, *top.facts(), cancel);
  return stack.encode();
}

}  // namespace slipway::build
