#include "build/recut.hpp"

#include <fcntl.h>

#include <algorithm>

#include "base/text.hpp"
#include "build/commit.hpp"
#include "layer/join.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

using Layers = std::vector<std::shared_ptr<Layer>>;

/// The trees below layer `index`, topmost first.
std::vector<std::string> directories_below(const Layers& layers, std::size_t index) {
  std::vector<std::string> out;
  for (std::size_t i = index; i-- > 0;)
    if (!layers[i]->empty()) out.push_back(*layers[i]->directory());
  return out;
}

oci::ChainId chain_upon(const std::optional<oci::ChainId>& parent, const oci::DiffId& diff) {
  return parent ? parent->next(diff) : oci::ChainId::first(diff);
}

std::shared_ptr<Layer> without_tree(LayerFacts facts) {
  facts.without_tree = true;
  return std::make_shared<Layer>(std::move(facts), nullptr);
}

/// Whether the tree has something at one of the paths; links in it are not followed.
Result<bool> holds(const std::string& directory, const std::vector<std::string>& paths) {
  const sys::Fd root = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
  for (const auto& path : paths)
    if (sys::open_beneath(root.get(), path, O_PATH | O_NOFOLLOW)) return true;
  return false;
}

std::optional<oci::ChainId> chain_of(const Layers& layers) {
  return layers.empty() ? std::nullopt : std::optional(layers.back()->facts()->chain);
}

Result<std::shared_ptr<Layer>> joined(const Workshop& shop, const Layers& layers, std::size_t base,
                                      const CommitOptions& options, const Cancel& cancel) {
  const store::SnapshotDraft draft = TRY(shop.store.draft_snapshot(shop.lease));
  std::vector<sys::Fd> held;
  std::vector<int> trees;
  for (std::size_t i = base; i < layers.size(); ++i) {
    if (layers[i]->empty()) continue;
    held.push_back(TRY(sys::open(*layers[i]->directory(), O_RDONLY | O_DIRECTORY)));
    trees.push_back(held.back().get());
  }
  const sys::Fd into = TRY(sys::open(draft.fs(), O_RDONLY | O_DIRECTORY));
  TRY(context(layer::join_changes(trees, into.get(), cancel), "while joining the layers of the image"));
  const Layers below(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(base));
  auto facts = TRY(write_layer(shop, draft.fs(), directories_below(layers, base), chain_of(below),
                               layers.back()->created(), options, cancel));
  return without_tree(std::move(facts));
}

/// Each layer without the ignored paths; what has none of them only stands upon others.
Result<Layers> without_ignored(const Workshop& shop, const Layers& layers, std::size_t base,
                               const CommitOptions& options, const Cancel& cancel) {
  Layers out(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(base));
  for (std::size_t i = base; i < layers.size(); ++i) {
    const auto parent = chain_of(out);
    LayerFacts facts = *layers[i]->facts();
    if (!layers[i]->empty() && TRY(holds(*layers[i]->directory(), options.ignored)))
      facts = TRY(write_layer(shop, *layers[i]->directory(), directories_below(layers, i), parent, layers[i]->created(),
                              options, cancel));
    facts.chain = chain_upon(parent, facts.diff);
    out.push_back(without_tree(std::move(facts)));
  }
  return out;
}

/// Of the layers above the base only the last one is left.
void join_history(PlannedImage& planned) {
  std::size_t seen = 0;
  PlannedHistory* last = nullptr;
  for (auto& line : planned.history) {
    if (!line.layer || seen++ < planned.base_layers) continue;
    if (last != nullptr) {
      last->layer = false;
      last->entry.empty_layer = true;
    }
    last = &line;
  }
}

}  // namespace

Result<Recut> recut(const Workshop& shop, const PlannedImage& planned, const Stack& stack, const LayerCut& cut,
                    std::optional<std::int64_t> clamp, const Cancel& cancel) {
  CommitOptions options{.clamp_mtime = clamp};
  for (const auto& path : cut.ignored)
    if (std::string cleaned = clean_rooted(path); !cleaned.empty()) options.ignored.push_back(std::move(cleaned));
  Recut out{planned, nullptr};
  const Layers& layers = stack.layers();
  const std::size_t base = std::min(planned.base_layers, layers.size());
  if (base == layers.size()) {
    out.stack = std::make_shared<Stack>(layers);
    return out;
  }
  (void)TRY(stack.lowers(shop, 0, cancel));  // every layer has its tree
  if (cut.one_layer) {
    Layers kept(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(base));
    kept.push_back(TRY(joined(shop, layers, base, options, cancel)));
    out.stack = std::make_shared<Stack>(std::move(kept));
    join_history(out.planned);
  } else {
    out.stack = std::make_shared<Stack>(TRY(without_ignored(shop, layers, base, options, cancel)));
  }
  return out;
}

}  // namespace slipway::build
