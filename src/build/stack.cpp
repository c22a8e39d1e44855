#include "build/stack.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "layer/codec.hpp"
#include "oci/canonical_json.hpp"
#include "oci/json.hpp"
#include "sys/file.hpp"

namespace slipway::build {

Layer::Layer(LayerFacts facts, std::shared_ptr<const image::Resolved> base)
    : facts_(std::move(facts)),
      empty_(facts_->empty),
      base_(std::move(base)),
      created_(facts_->created.value_or(Timestamp{})) {}

Layer::Layer(store::SnapshotDraft draft, Timestamp created)
    : directory_(draft.fs()), draft_(std::move(draft)), created_(created) {}

Layer::Layer(std::shared_ptr<Layer> original) : original_(std::move(original)), created_(original_->created()) {}

void Layer::place_upon(const std::optional<oci::ChainId>& parent) const {
  auto facts = original_->facts();
  if (!facts) return;
  facts->chain = parent ? parent->next(facts->diff) : oci::ChainId::first(facts->diff);
  const std::lock_guard lock(mutex_);
  empty_ = facts->empty;
  facts_ = std::move(facts);
}

std::optional<std::string> Layer::directory() const {
  const std::lock_guard lock(mutex_);
  return directory_;
}

std::optional<LayerFacts> Layer::facts() const {
  const std::lock_guard lock(mutex_);
  return facts_;
}

void Layer::set_directory(std::string directory, bool empty) const {
  const std::lock_guard lock(mutex_);
  directory_ = std::move(directory);
  empty_ = empty;
}

bool Layer::empty() const {
  const std::lock_guard lock(mutex_);
  return empty_;
}

std::vector<std::string> Layer::caches() const {
  const std::lock_guard lock(mutex_);
  if (facts_) return facts_->caches;
  return original_ ? original_->caches() : caches_;
}

Status Layer::commit(const LayerFacts& facts, const std::optional<oci::ChainId>& parent) {
  const std::lock_guard lock(mutex_);
  if (!draft_) return fail(Code::kInternal, "a layer was committed twice");
  const store::Snapshot snapshot =
      TRY(draft_->commit({.parent = parent, .diff = facts.diff, .empty = facts.empty, .tree_bytes = facts.tree_bytes}));
  facts_ = facts;  // directory_ stays: steps over this tree may be running, and an equal one elsewhere is no better
  empty_ = facts.empty;
  return {};
}

void Layer::finish_without_tree(const LayerFacts& facts) {
  const std::lock_guard lock(mutex_);
  draft_.reset();
  directory_.reset();
  facts_ = facts;
  facts_->without_tree = true;
  empty_ = facts.empty;
}

std::shared_ptr<Stack> Stack::with(std::shared_ptr<Layer> top) const {
  auto layers = layers_;
  layers.push_back(std::move(top));
  return std::make_shared<Stack>(std::move(layers));
}

std::vector<std::string> Stack::caches() const {
  std::vector<std::string> all;
  for (const auto& layer : layers_)
    for (auto& cache : layer->caches()) all.push_back(std::move(cache));
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::optional<oci::ChainId> Stack::chain() const {
  if (layers_.empty()) return std::nullopt;
  const auto facts = layers_.back()->facts();
  return facts ? std::optional(facts->chain) : std::nullopt;
}

namespace {

/// The tree of a chain, for a layer whose blob is known to unpack to it: diff IDs of configs and caches are anybody's
/// word.
Result<std::optional<store::Snapshot>> tree_of(const Workshop& shop, const LayerFacts& facts) {
  const auto known = TRY(shop.store.layer_of_blob(facts.blob.digest));
  if (!known || known->diff != facts.diff) return std::nullopt;
  return shop.store.acquire_snapshot(shop.lease, facts.chain);
}

/// The tree of a layer that was made here.
Result<store::Snapshot> unpacked(const Workshop& shop, const LayerFacts& facts,
                                 const std::optional<oci::ChainId>& parent, const Cancel& cancel) {
  if (auto found = TRY(tree_of(shop, facts))) return *std::move(found);
  // One process unpacks, the others find it done.
  const sys::FileLock lock = TRY(shop.store.lock_key(facts.chain.digest, cancel));
  if (auto found = TRY(tree_of(shop, facts))) return *std::move(found);
  const sys::Fd blob = TRY(shop.store.open_blob(facts.blob.digest));
  store::SnapshotDraft draft = TRY(shop.store.draft_snapshot(shop.lease));
  const sys::Fd root = TRY(sys::open(draft.fs(), O_RDONLY | O_DIRECTORY));
  const layer::Source source = [&](char* buffer, std::size_t size) { return sys::read_some(blob.get(), buffer, size); };
  const layer::Unpacked unpacked = TRY(
      context(layer::unpack(source, root.get(), {}, cancel), "while unpacking the layer {}", facts.blob.digest.text()));
  if (unpacked.diff_id != facts.diff)
    return std::unexpected(
        Error(Code::kDataLoss, fmt::format("the layer {} unpacks to {}, should be {}", facts.blob.digest.text(),
                                           unpacked.diff_id.digest.text(), facts.diff.digest.text()))
            .with_hint("what named it (a cache, a registry) is wrong, or the store: `slipway fsck` tells"));
  const oci::Compression compression = TRY(layer::detect_file(blob.get()));
  TRY(shop.store.note_layer({.diff = facts.diff,
                             .blob = {facts.blob.digest, facts.blob.size},
                             .compression = compression,
                             .tree_bytes = unpacked.tree_bytes}));
  return draft.commit(
      {.parent = parent, .diff = facts.diff, .empty = unpacked.empty, .tree_bytes = unpacked.tree_bytes});
}

/// The tree of another layer stands for this one; once both have facts, under this one's name too: what is built upon
/// it names it as its parent.
Status share(const Workshop& shop, const Layer& layer, const std::optional<oci::ChainId>& parent,
             progress::VertexId vertex, const Cancel& cancel) {
  if (!layer.directory()) {
    (void)TRY(Stack({layer.original()}).lowers(shop, vertex, cancel));
    layer.set_directory(*layer.original()->directory(), layer.original()->empty());
  }
  const auto facts = layer.facts(), original = layer.original()->facts();
  if (!facts || !original) return {};
  layer.set_directory(*layer.directory(), original->empty);
  if (facts->chain == original->chain || layer.shared()) return {};
  // What lies below may have got its facts after `parent` was looked at: then it is shared the next time.
  if (facts->chain != (parent ? parent->next(facts->diff) : oci::ChainId::first(facts->diff))) return {};
  if (TRY(shop.store.share_snapshot(shop.lease, original->chain, parent))) layer.set_shared();
  return {};
}

}  // namespace

namespace {

/// The trees of the images that layers came with; each image is unpacked once.
class BaseTrees {
 public:
  BaseTrees(const Workshop& shop, progress::VertexId vertex, const Cancel& cancel)
      : shop_(shop), vertex_(vertex), cancel_(cancel) {}
  Result<store::Snapshot> of(const Layer& layer) {
    const auto& base = layer.base();
    auto& trees = unpacked_[base.get()];
    if (trees.empty()) trees = TRY(shop_.images.unpack(*base, shop_.sink, vertex_, cancel_));
    const LayerFacts facts = *layer.facts();
    for (const auto& tree : trees)
      if (tree.chain == facts.chain) return tree;
    return fail(Code::kInternal, "the layer {} is not one of {}", facts.blob.digest.text(), base->reference.familiar());
  }

 private:
  const Workshop& shop_;
  const progress::VertexId vertex_;
  const Cancel& cancel_;
  std::map<const image::Resolved*, std::vector<store::Snapshot>> unpacked_;
};

}  // namespace

Result<std::vector<std::string>> Stack::lowers(const Workshop& shop, progress::VertexId vertex,
                                               const Cancel& cancel) const {
  BaseTrees of_bases(shop, vertex, cancel);
  std::optional<oci::ChainId> parent;
  for (const auto& layer : layers_) {
    const auto facts = layer->facts();
    if (layer->original()) {
      TRY(share(shop, *layer, parent, vertex, cancel));
    } else if (!layer->directory()) {
      const store::Snapshot snapshot =
          layer->base() ? TRY(of_bases.of(*layer)) : TRY(unpacked(shop, *facts, parent, cancel));
      layer->set_directory(snapshot.directory, snapshot.empty);
    }
    if (facts) parent = facts->chain;
  }
  std::vector<std::string> directories;
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer)
    if (!(*layer)->empty()) directories.push_back(*(*layer)->directory());
  return directories;
}

std::string encode(const LayerFacts& facts) {
  oci::JsonWriter json;
  json.begin_object();
  json.member("diff", facts.diff.digest.text());
  json.member("blob", facts.blob.digest.text());
  json.member("size", facts.blob.size);
  json.member("type", facts.blob.media_type);
  json.member("tree", facts.tree_bytes);
  if (facts.created) json.member("created", rfc3339(*facts.created));
  if (facts.empty) json.member("empty", true);
  if (facts.without_tree) json.member("without tree", true);
  if (!facts.caches.empty()) json.member("from", facts.caches);
  if (!facts.of_cache.empty()) json.member("of", facts.of_cache);
  json.end_object();
  return json.take();
}

std::string Stack::join(const std::vector<std::string>& layers) {
  return fmt::format("[{}]", slipway::join(layers, ","));
}

std::string Stack::encode() const {
  std::vector<std::string> texts;
  for (const auto& layer : layers_) {
    LayerFacts facts = *layer->facts();
    // A base image that no step needed is not unpacked: a record must not ask for its trees.
    if (layer->base() && !layer->directory()) facts.without_tree = true;
    texts.push_back(build::encode(facts));
  }
  return join(texts);
}

Result<std::shared_ptr<Stack>> Stack::decode(std::string_view value) {
  const oci::Json json = TRY(oci::Json::parse(value));
  std::vector<std::shared_ptr<Layer>> layers;
  std::optional<oci::ChainId> chain;
  for (const oci::Json entry : json.children()) {
    const oci::DiffId diff{TRY(oci::Digest::parse(TRY(entry.need_string("diff"))))};
    chain = chain ? chain->next(diff) : oci::ChainId::first(diff);
    const oci::Digest digest = TRY(oci::Digest::parse(TRY(entry.need_string("blob"))));
    const std::int64_t size = TRY(entry.need_int63("size"));
    const std::int64_t tree_bytes = TRY(entry.need_int63("tree"));
    std::string type(TRY(entry.need_string("type")));
    LayerFacts facts{.diff = diff,
                     .chain = *chain,
                     .blob = {.media_type = std::move(type), .digest = digest, .size = size},
                     .tree_bytes = tree_bytes,
                     .created = std::nullopt,
                     .empty = entry.find("empty").has_value(),
                     .without_tree = entry.find("without tree").has_value()};
    if (const auto caches = entry.find("from")) facts.caches = TRY(caches->as_strings());
    if (const auto cache = entry.find("of")) facts.of_cache = TRY(cache->as_string());
    if (const std::string created = TRY(entry.string("created")); !created.empty())
      facts.created = TRY(parse_rfc3339(created));
    layers.push_back(std::make_shared<Layer>(std::move(facts), nullptr));
  }
  return std::make_shared<Stack>(std::move(layers));
}

Result<std::shared_ptr<Stack>> stack_of(std::shared_ptr<const image::Resolved> image) {
  const auto& diffs = image->config.view().diff_ids;
  const auto& blobs = image->manifest.layers();
  if (diffs.size() != blobs.size())
    return fail(Code::kInvalidArgument, "the image {} has {} layers but {} diff ids", image->reference.familiar(),
                blobs.size(), diffs.size());
  std::vector<std::shared_ptr<Layer>> layers;
  std::optional<oci::ChainId> chain;
  for (std::size_t i = 0; i < diffs.size(); ++i) {
    chain = chain ? chain->next(diffs[i]) : oci::ChainId::first(diffs[i]);
    layers.push_back(std::make_shared<Layer>(LayerFacts{.diff = diffs[i],
                                                        .chain = *chain,
                                                        .blob = blobs[i],
                                                        .tree_bytes = 0,
                                                        .created = std::nullopt,
                                                        .empty = false},
                                             image));
  }
  return std::make_shared<Stack>(std::move(layers));
}

}  // namespace slipway::build
