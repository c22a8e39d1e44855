#include "build/cache_import.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "build/definition.hpp"
#include "http/url.hpp"
#include "image/layer_check.hpp"
#include "image/layout_directory.hpp"
#include "image/parallel.hpp"
#include "image/proofs.hpp"
#include "image/transfers.hpp"
#include "oci/json.hpp"
#include "registry/base64.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr std::size_t kImageLimit = 64;  ///< images of one index that are looked at
constexpr std::string_view kName = "org.opencontainers.image.ref.name";

registry::Trust trust_of(const CachePlace& place) {
  return place.insecure ? registry::Trust::kAnybody : registry::Trust::kVerified;
}

/// The documents of a cache, wherever it lies; each verified.
class CacheDocuments {
 public:
  virtual ~CacheDocuments() = default;
  struct Document {
    std::string bytes, media_type;
  };
  /// What the place names.
  virtual Result<Document> top() = 0;
  virtual Result<Document> manifest(const oci::Descriptor& descriptor) = 0;
  virtual Result<std::string> blob(const oci::Descriptor& descriptor, std::int64_t limit) = 0;
};

Status check_size(const oci::Descriptor& descriptor, std::int64_t limit) {
  if (descriptor.size <= limit) return {};
  return fail(Code::kOutOfRange, "{} is said to have {} bytes; at most {} are taken", descriptor.digest.text(),
              descriptor.size, limit);
}

Status check_digest(const oci::Descriptor& descriptor, std::string_view bytes) {
  oci::Hasher hasher(descriptor.digest.algorithm());
  hasher.update(bytes);
  if (hasher.finish() == descriptor.digest && std::ssize(bytes) == descriptor.size) return {};
  return fail(Code::kDataLoss, "{} is not what its digest and size say", descriptor.digest.text());
}

class RegistryDocuments final : public CacheDocuments {
 public:
  RegistryDocuments(const Workshop& shop, const CachePlace& place, const Cancel& cancel)
      : reference_(*place.reference),
        repository_(shop.images.client.repository(reference_, trust_of(place))),
        cancel_(cancel) {}

  Result<Document> top() override { return get(reference_); }
  Result<Document> manifest(const oci::Descriptor& descriptor) override {
    TRY(check_size(descriptor, oci::kManifestLimit));
    return get(reference_.with_digest(descriptor.digest));
  }
  Result<std::string> blob(const oci::Descriptor& descriptor, std::int64_t limit) override {
    TRY(check_size(descriptor, limit));
    std::string bytes;
    const auto take = [&](std::string_view piece) -> Status {
      bytes += piece;
      return {};
    };
    TRY(repository_.blob(descriptor, take, cancel_));
    TRY(check_digest(descriptor, bytes));
    return bytes;
  }

 private:
  Result<Document> get(const oci::Reference& reference) {
    auto document = TRY(repository_.manifest(reference, cancel_));
    return Document{std::move(document.bytes), std::move(document.media_type)};
  }
  const oci::Reference& reference_;
  const registry::Repository repository_;
  const Cancel& cancel_;
};

/// An OCI layout.
class FolderDocuments final : public CacheDocuments {
 public:
  FolderDocuments(image::LayoutDirectory layout, const CachePlace& place) : layout_(std::move(layout)), place_(place) {}

  Result<Document> top() override {
    const auto index = TRY(oci::Index::parse(TRY(layout_.index_bytes()), ""));
    for (const auto& entry : index.manifests()) {
      const auto name = entry.annotations.find(std::string(kName));
      const bool called = name != entry.annotations.end() && name->second == place_.tag;
      if (place_.digest ? entry.digest == *place_.digest : called) return manifest(entry);
    }
    if (place_.digest) return fail(Code::kNotFound, "its index.json does not name {}", place_.digest->text());
    return fail(Code::kNotFound, "its index.json has no cache called {}", quoted(place_.tag, 200));
  }
  Result<Document> manifest(const oci::Descriptor& descriptor) override {
    auto bytes = TRY(blob(descriptor, oci::kManifestLimit));
    return Document{std::move(bytes), descriptor.media_type};
  }
  Result<std::string> blob(const oci::Descriptor& descriptor, std::int64_t limit) override {
    TRY(check_size(descriptor, limit));
    const sys::Fd file = TRY(layout_.open_blob(descriptor));
    auto bytes = TRY(sys::read_all(file.get(), limit));
    TRY(check_digest(descriptor, bytes));
    return bytes;
  }

 private:
  image::LayoutDirectory layout_;
  const CachePlace& place_;
};

Result<std::unique_ptr<CacheDocuments>> open_documents(const CachePlace& place, const Workshop& shop,
                                                       const Cancel& cancel) {
  if (place.reference) return std::make_unique<RegistryDocuments>(shop, place, cancel);
  return std::make_unique<FolderDocuments>(TRY(image::LayoutDirectory::open(place.directory)), place);
}

using Blobs = std::map<oci::Digest, ReadCache::Blob>;

/// A layer as a manifest of a cache names it: what it unpacks to is an annotation.
Result<ReadCache::Blob> described(const oci::Descriptor& descriptor) {
  ReadCache::Blob blob{
      .descriptor = {.media_type = descriptor.media_type, .digest = descriptor.digest, .size = descriptor.size},
      .diff = std::nullopt,
      .created = std::nullopt};
  const auto& said = descriptor.annotations;
  if (const auto diff = said.find(buildcache::kDiffAnnotation); diff != said.end()) {
    const oci::Digest digest = TRY(oci::Digest::parse(diff->second));
    blob.diff = oci::DiffId{digest};
  }
  if (const auto created = said.find(buildcache::kCreatedAnnotation); created != said.end())
    blob.created = TRY(parse_rfc3339(created->second));
  return blob;
}

class Reader {
 public:
  Reader(const CachePlace& place, CacheDocuments& documents) : place_(place), documents_(documents) {}

  Result<std::vector<ReadCache>> run() {
    auto top = TRY(documents_.top());
    if (oci::media_type::is_index(top.media_type)) {
      TRY(read_index(TRY(oci::Index::parse(std::move(top.bytes), top.media_type))));
    } else {
      TRY(read_manifest(TRY(oci::Manifest::parse(std::move(top.bytes), top.media_type))));
    }
    if (caches_.empty())
      return std::unexpected(Error(Code::kNotFound, "it holds no build cache")
                                 .with_hint("an image has one when it is built with --cache-to type=inline"));
    return std::move(caches_);
  }

 private:
  /// Layers beside a config, or images.
  Status read_index(const oci::Index& index) {
    for (const auto& entry : index.manifests())
      if (entry.media_type == buildcache::kConfigType) return read_config(entry, index.manifests());
    std::size_t images = 0;
    for (const auto& entry : index.manifests()) {
      if (!oci::media_type::is_manifest(entry.media_type) || oci::is_attestation(entry)) continue;
      if (++images > kImageLimit) break;
      auto document = TRY(documents_.manifest(entry));
      TRY(read_manifest(TRY(oci::Manifest::parse(std::move(document.bytes), entry.media_type))));
    }
    return {};
  }

  Status read_manifest(const oci::Manifest& manifest) {
    if (manifest.config().media_type == buildcache::kConfigType)
      return read_config(manifest.config(), manifest.layers());
    return read_inline(manifest);
  }

  Status read_config(const oci::Descriptor& config, const std::vector<oci::Descriptor>& layers) {
    Blobs blobs;
    for (const auto& layer : layers)
      if (layer.media_type != buildcache::kConfigType) {
        auto blob = TRY(described(layer));
        blobs.emplace(layer.digest, std::move(blob));
      }
    const auto text = TRY(documents_.blob(config, buildcache::kConfigLimit));
    auto read = TRY(buildcache::CacheConfig::parse(text));
    caches_.push_back({&place_, buildcache::Lookup(std::move(read)), std::move(blobs), {}});
    return {};
  }

  Status read_inline(const oci::Manifest& manifest) {
    const auto text = TRY(documents_.blob(manifest.config(), oci::kConfigLimit));
    const auto document = TRY(oci::Json::parse(text, {.bytes = static_cast<std::size_t>(oci::kConfigLimit)}));
    const auto member = document.find(buildcache::kInlineMember);
    if (!member) return {};
    const auto view = TRY(oci::ImageConfig::parse(text)).view();
    if (view.diff_ids.size() != manifest.layers().size())
      return fail(Code::kDataLoss, "its manifest has {} layers and its config {}", manifest.layers().size(),
                  view.diff_ids.size());
    Blobs blobs;
    std::vector<oci::Digest> layers;
    std::size_t history = 0;
    for (std::size_t i = 0; i < view.diff_ids.size(); ++i) {
      ReadCache::Blob blob = TRY(described(manifest.layers()[i]));
      blob.diff = view.diff_ids[i];
      while (history < view.history.size() && view.history[history].empty_layer) ++history;
      if (history < view.history.size()) blob.created = view.history[history++].created;
      layers.push_back(blob.descriptor.digest);
      blobs.emplace(blob.descriptor.digest, std::move(blob));
    }
    const auto records = TRY(registry::base64_decode(TRY(member->as_string())));
    auto read = TRY(buildcache::CacheConfig::parse_inline(records, layers));
    caches_.push_back({&place_, buildcache::Lookup(std::move(read)), std::move(blobs), {}});
    return {};
  }

  const CachePlace& place_;
  CacheDocuments& documents_;
  std::vector<ReadCache> caches_;
};

/// An empty layer is one blob however often it was made: then not its annotation says when, but the record it tops.
std::vector<std::optional<Timestamp>> times_of(const buildcache::CacheConfig& config) {
  std::map<oci::Digest, std::size_t> uses;
  for (const auto& layer : config.layers()) ++uses[layer.blob];
  std::vector<std::optional<Timestamp>> made(config.layers().size());
  for (const auto& record : config.records())
    for (const auto& result : record.results)
      if (!result.chained && uses[config.layers()[result.layers[0]].blob] > 1)
        made[result.layers[0]] = std::max(made[result.layers[0]], std::optional(result.created));
  return made;
}

const DescribedOp& described_op(const Plan& plan, std::size_t vertex) {
  return static_cast<const DescribedOp&>(*plan.graph.vertices()[vertex].op);
}

/// What a stack of a vertex must be like: so many layers, the first ones those of its base image.
struct Shape {
  std::size_t layers = 0;
  const std::vector<oci::DiffId>* base = nullptr;
};
Shape shape_of(const Plan& plan, std::size_t vertex) {
  Shape shape;
  while (true) {
    const auto& inputs = plan.graph.vertices()[vertex].inputs;
    if (inputs.empty()) break;
    ++shape.layers;
    vertex = inputs[0].vertex;
  }
  if (const auto* image = described_op(plan, vertex).image()) {
    shape.base = &image->config.view().diff_ids;
    shape.layers += shape.base->size();
  }
  return shape;
}

/// What layers of a cache would be as an image of that place: how they are pulled and checked is the same.
Result<std::shared_ptr<const image::Resolved>> image_of(const CachePlace& place,
                                                        const std::vector<LayerFacts>& layers) {
  static const oci::Reference kFolder = *oci::Reference::parse("cache.invalid/in/a/directory");
  std::vector<oci::Descriptor> blobs;
  oci::ImageConfigView view;
  for (const auto& layer : layers) {
    blobs.push_back(layer.blob);
    view.diff_ids.push_back(layer.diff);
  }
  const auto config = oci::ImageConfig::make(std::move(view));
  const auto manifest = oci::Manifest::make(
      oci::Family::kOci, {.media_type = std::string(oci::media_type::kOciConfig), .digest = config.digest(), .size = 0},
      blobs);
  image::Resolved image{
      place.reference.value_or(kFolder), manifest.digest(), manifest.media_type(), manifest, config, trust_of(place)};
  if (!place.reference) image.own = TRY(image::LayoutDirectory::open(place.directory)).origin();
  return std::make_shared<const image::Resolved>(std::move(image));
}

}  // namespace

Result<std::vector<ReadCache>> read_cache(const CachePlace& place, const Workshop& shop, const Cancel& cancel) {
  const auto documents = TRY(open_documents(place, shop, cancel));
  auto caches = TRY(Reader(place, *documents).run());
  for (auto& cache : caches) cache.made = times_of(cache.lookup.config());
  return caches;
}

std::string CacheImport::name_of(const CachePlace& place) const {
  if (!place.reference) return fmt::format("{} {}", place.directory, place.digest ? place.digest->text() : place.tag);
  const auto repository = shop_.images.client.repository(*place.reference, trust_of(place));
  return fmt::format("{} {}", image::origin_of(*place.reference, repository.trust()).registry,
                     place.reference->canonical());
}

Result<std::string> CacheImport::ask(const CachePlace& place) const {
  if (!place.reference) {
    FolderDocuments folder(TRY(image::LayoutDirectory::open(place.directory)), place);
    return oci::Digest::of(TRY(folder.top()).bytes).text();
  }
  const auto repository = shop_.images.client.repository(*place.reference, trust_of(place));
  const auto url = http::Url::parse("https://" + place.reference->registry());
  const bool same = repository.trust() == registry::Trust::kVerified && url && !url->loopback();
  if (same && TRY(repository.look_up(*place.reference, cancel_))) return std::string();
  const auto document = TRY(repository.manifest(*place.reference, cancel_));
  return same ? std::string() : oci::Digest::of(document.bytes).text();
}

const std::vector<CacheImport::Answer>& CacheImport::ask_all() {
  std::call_once(asked_, [&] {
    for (const auto& source : sources_) {
      auto now = ask(source.place);
      Answer& answer = answers_.emplace_back(Answer{name_of(source.place), "", std::nullopt});
      if (now) answer.now = *std::move(now);
      if (!now) answer.trouble = std::move(now).error();
    }
  });
  return answers_;
}

std::string CacheImport::answers() {
  std::set<std::string> lines;
  for (const auto& answer : ask_all()) lines.insert(fmt::format("{} {}\n", answer.name, answer.now));
  std::string text;
  for (const auto& line : lines) text += line;
  return text;
}

bool CacheImport::answered(const Stack& stack) {
  const auto& answers = ask_all();
  return std::ranges::all_of(stack.caches(), [&](const std::string& name) {
    return std::ranges::any_of(answers, [&](const auto& one) { return one.name == name && !one.trouble; });
  });
}

void CacheImport::read_all() {
  std::call_once(read_, [&] {
    const auto& answers = ask_all();
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const auto& source = sources_[i];
      const progress::VertexId id = ids_.next();
      shop_.sink.on(progress::Started{
          id, "importing cache manifest from " + (source.place.reference ? source.place.reference->canonical()
                                                                         : printable(source.place.directory, 300))});
      auto read = answers[i].trouble ? Result<std::vector<ReadCache>>(std::unexpected(*answers[i].trouble))
                                     : read_cache(source.place, shop_, cancel_);
      shop_.sink.on(progress::Finished{id, ""});
      if (!read) {
        if (read.error().code() != Code::kCancelled)
          shop_.sink.on(
              progress::Warning{fmt::format("the cache {} is not used: {}", source.place.title, read.error().what())});
        continue;
      }
      for (auto& cache : *read) caches_.push_back(std::move(cache));
    }
  });
}

const std::vector<ReadCache>& CacheImport::caches() {
  read_all();
  return caches_;
}

std::optional<std::string> CacheImport::stack_of(const ReadCache& cache, const buildcache::Record& record,
                                                 std::size_t vertex) const {
  const Shape shape = shape_of(*plan_, vertex);
  const std::string name = name_of(*cache.place);
  std::vector<const buildcache::CachedResult*> results;
  for (const auto& result : record.results) results.push_back(&result);
  std::ranges::sort(results, std::greater<>(), [](const auto* result) { return result->created; });  // newest first
  for (const auto* result : results) {
    const auto chain = cache.lookup.config().chain(*result);
    if (!chain || chain->size() != shape.layers) continue;
    std::vector<std::shared_ptr<Layer>> layers;
    std::optional<oci::ChainId> below;
    for (std::size_t i = 0; i < chain->size(); ++i) {
      const auto blob = cache.blobs.find(cache.lookup.config().layers()[(*chain)[i]].blob);
      const bool of_base = shape.base != nullptr && i < shape.base->size();
      if (blob == cache.blobs.end() || !blob->second.diff) break;
      if (!oci::media_type::layer_compression(blob->second.descriptor.media_type)) break;
      if (of_base && *blob->second.diff != (*shape.base)[i]) break;
      below = below ? below->next(*blob->second.diff) : oci::ChainId::first(*blob->second.diff);
      LayerFacts facts{.diff = *blob->second.diff,
                       .chain = *below,
                       .blob = blob->second.descriptor,
                       .tree_bytes = 0,
                       .created = std::nullopt,
                       .empty = false,
                       .without_tree = true,
                       .caches = {name},
                       .of_cache = name};
      if (!of_base) {
        const auto made = cache.made[(*chain)[i]];
        facts.created = made ? *made : blob->second.created.value_or(result->created);
      }
      layers.push_back(std::make_shared<Layer>(std::move(facts), nullptr));
    }
    if (layers.size() == chain->size()) return Stack(std::move(layers)).encode();
  }
  return std::nullopt;
}

std::optional<std::string> CacheImport::offer(std::size_t cache, const buildcache::Record& record, std::size_t vertex) {
  auto value = stack_of(caches_[cache], record, vertex);
  if (!value) return value;
  const std::lock_guard lock(offered_mutex_);
  offered_.insert_or_assign(oci::Digest::of(*value), cache);
  return value;
}

std::optional<solver::Record> CacheImport::by_own_key(std::size_t vertex, const solver::Key& key) {
  for (std::size_t c = 0; c < caches_.size(); ++c)
    for (const std::size_t number : caches_[c].lookup.of(key)) {
      const auto& cache = caches_[c];
      const auto& record = cache.lookup.record(number);
      // A fast key names the key that dependents see, which has the same result.
      const auto& inputs = record.inputs;
      if (inputs.size() > 1 || (inputs.size() == 1 && inputs[0].size() != 1)) continue;
      const auto& shown = inputs.empty() ? record : cache.lookup.record(inputs[0][0].record);
      if (auto value = offer(c, record, vertex)) return solver::Record{shown.digest, *std::move(value)};
    }
  return std::nullopt;
}

Result<CacheImport::Matches> CacheImport::match(std::size_t vertex,
                                                const std::vector<solver::OutputPtr>& outputs) const {
  const auto& [op, inputs, ignored] = plan_->graph.vertices()[vertex];
  BuildkitAsk ask{.inputs = {}, .nothing = {}, .outputs = outputs};
  for (const auto& input : inputs) {
    ask.inputs.push_back(input.vertex);
    ask.nothing.push_back(described_op(*plan_, input.vertex).kind() == "scratch");
  }
  const auto step = TRY(static_cast<DescribedOp&>(*op).buildkit_step(ask, cancel_));
  Matches found;
  if (!step) return found;
  for (std::size_t c = 0; c < caches_.size(); ++c) {
    const auto& lookup = caches_[c].lookup;
    if (step->inputs.empty()) {
      for (const auto& digest : step->digests)
        for (const std::size_t number : lookup.roots(digest)) found.emplace_back(c, number);
      continue;
    }
    std::vector<std::vector<buildcache::Link>> links;
    for (const auto& input : step->inputs) {
      auto& here = links.emplace_back();
      for (const auto& [selector, root] : input.roots)
        for (const std::size_t number : lookup.roots(root)) here.push_back({selector, number});
      if (!input.input) continue;
      if (const auto below = matches_.find(inputs[*input.input].vertex); below != matches_.end())
        for (const auto& [cache, number] : below->second)
          if (cache == c) here.push_back({input.selector, number});
    }
    for (const std::size_t number : lookup.matching(step->digests.at(0), links)) found.emplace_back(c, number);
  }
  return found;
}

Result<CacheImport::Matches> CacheImport::matches(std::size_t vertex, const std::vector<solver::OutputPtr>& outputs) {
  const std::lock_guard lock(mutex_);
  std::set<std::size_t> missing;  // inputs have lower numbers than what they lead to
  std::vector<std::size_t> pending{vertex};
  while (!pending.empty()) {
    const std::size_t at = pending.back();
    pending.pop_back();
    for (const auto& input : plan_->graph.vertices()[at].inputs)
      if (!matches_.contains(input.vertex) && missing.insert(input.vertex).second) pending.push_back(input.vertex);
  }
  for (const std::size_t at : missing) matches_[at] = TRY(match(at, {}));
  auto found = TRY(match(vertex, outputs));
  matches_[vertex] = found;
  return found;
}

Result<std::vector<oci::Digest>> CacheImport::contents(std::size_t vertex, std::size_t input) {
  std::vector<oci::Digest> roots;
  for (const auto& [cache, number] : TRY(matches(vertex, {}))) {
    const auto& lookup = caches_[cache].lookup;
    const auto& inputs = lookup.record(number).inputs;
    if (input >= inputs.size()) continue;
    for (const auto& link : inputs[input])
      if (link.selector.empty() && lookup.record(link.record).inputs.empty())
        roots.push_back(lookup.record(link.record).digest);
  }
  return roots;
}

Result<std::optional<solver::Record>> CacheImport::find(std::size_t vertex, const solver::Key& key,
                                                        const std::vector<solver::OutputPtr>& outputs) {
  read_all();
  if (caches_.empty()) return std::nullopt;
  if (auto own = by_own_key(vertex, key)) return own;
  for (const auto& [cache, number] : TRY(matches(vertex, outputs)))
    if (auto value = offer(cache, caches_[cache].lookup.record(number), vertex))
      return solver::Record{key, *std::move(value)};
  return std::nullopt;
}

Result<std::shared_ptr<Stack>> CacheImport::decode(std::string_view value) const {
  auto stack = TRY(Stack::decode(value));
  const CachePlace* place = nullptr;
  {
    const std::lock_guard lock(offered_mutex_);
    const auto offered = offered_.find(oci::Digest::of(value));
    if (offered != offered_.end()) place = caches_[offered->second].place;
  }
  if (place == nullptr) return stack;
  std::vector<LayerFacts> facts;
  for (const auto& layer : stack->layers()) facts.push_back(*layer->facts());
  const auto base = TRY(image_of(*place, facts));
  for (const auto& layer : stack->layers()) layer->set_base(base);
  return stack;
}

Status CacheImport::check(const Stack& stack, const Cancel& cancel) const {
  const auto& layers = stack.layers();
  Status checked =
      image::for_each_parallel(layers.size(), shop_.images.client.parallel_transfers(), cancel,
                               [&](std::size_t i, const Cancel& inner) { return check_layer(*layers[i], inner); });
  if (checked || checked.error().code() == Code::kCancelled) return checked;
  shop_.sink.on(progress::Warning{"a cached result is not used: " + checked.error().what()});
  return std::unexpected(std::move(checked).error().with_code(Code::kNotFound));
}

Result<std::shared_ptr<const image::Resolved>> CacheImport::came_with(const Layer& layer) const {
  const LayerFacts facts = *layer.facts();
  if (layer.base() || facts.of_cache.empty()) return layer.base();
  for (const auto& source : sources_)
    if (name_of(source.place) == facts.of_cache) return image_of(source.place, {facts});
  return fail(Code::kNotFound, "the layer {} came out of a cache that is not named", facts.blob.digest.text());
}

/// Of a registry nothing is fetched now, but what it has dropped must be known before the steps that need it are. What
/// was recorded was here then: it is proven again, by a transfer where nothing else does.
Status CacheImport::check_layer(const Layer& layer, const Cancel& cancel) const {
  const LayerFacts facts = *layer.facts();
  const auto verify = [&] { return image::verify_layer(shop_.store, facts.blob, facts.diff, cancel); };
  const auto image = TRY(came_with(layer));
  if (!image) return verify();
  const image::Transfers transfers(shop_.images, *image, shop_.sink, 0);
  if (TRY(shop_.images.holds(*image, facts.blob.digest))) return verify();
  if (image->own || !layer.base()) {  // a directory, or recorded
    (void)TRY(transfers.ensure(facts.blob, nullptr, cancel));
    return verify();
  }
  const bool here = TRY(shop_.store.acquire_blob(shop_.lease, facts.blob.digest)).has_value();
  if (here && TRY(transfers.proofs().ask(facts.blob.digest, cancel))) return verify();
  if (TRY(transfers.repository().has_blob(facts.blob.digest, cancel))) return {};
  return fail(Code::kNotFound, "the layer {} is not in {}", facts.blob.digest.text(), image->reference.familiar());
}

std::optional<std::string> CacheImport::neighbour(const oci::Reference& reference, const oci::Digest& blob) {
  for (const auto& cache : caches())
    if (cache.place->reference && cache.place->reference->registry() == reference.registry() &&
        cache.blobs.contains(blob))
      return cache.place->reference->repository();
  return std::nullopt;
}

}  // namespace slipway::build
