#include "buildcache/cache_config.hpp"

#include <algorithm>

#include "oci/canonical_json.hpp"
#include "oci/json.hpp"

namespace slipway::buildcache {

/// Reads one document; everything it refuses is refused as a whole.
class ConfigReader {
 public:
  explicit ConfigReader(CacheConfig& config) : config_(config) {}

  Status layers(const oci::Json& document) {
    const oci::Json::Range list = TRY(document.list("layers"));
    if (list.size() > kLayerLimit) return too_many("layers", list.size(), kLayerLimit);
    for (const oci::Json item : list) {
      const oci::Digest blob = TRY(oci::Digest::parse(TRY(item.need_string("blob"))));
      CacheLayer layer{.blob = blob, .parent = 0};
      if (const auto parent = item.find("parent")) {  // Go leaves out a 0
        const std::int64_t index = TRY(parent->as_int64());
        layer.parent.reset();
        if (index >= 0) layer.parent = static_cast<std::size_t>(index);
        if (index < -1) return fail(Code::kInvalidArgument, "{} is no layer", parent->path());
      }
      if (layer.parent && *layer.parent >= list.size())
        return fail(Code::kInvalidArgument, "{} stands on a layer that is not there", item.path());
      config_.layers_.push_back(layer);
    }
    return layers_end();
  }

  Status own_layers(const std::vector<oci::Digest>& blobs) {
    if (blobs.size() > kLayerLimit) return too_many("layers", blobs.size(), kLayerLimit);
    for (std::size_t i = 0; i < blobs.size(); ++i)
      config_.layers_.push_back({.blob = blobs[i], .parent = i == 0 ? std::nullopt : std::optional(i - 1)});
    return {};
  }

  Status records(const oci::Json::Range& list) {
    if (list.size() > kRecordLimit) return too_many("records", list.size(), kRecordLimit);
    for (const oci::Json item : list) {
      const oci::Digest digest = TRY(oci::Digest::parse(TRY(item.need_string("digest"))));
      Record record{.digest = digest, .inputs = {}, .results = {}};
      for (const oci::Json input : TRY(item.list("inputs"))) record.inputs.push_back(TRY(links(input, list.size())));
      for (const oci::Json result : TRY(item.list("layers"))) {
        const std::size_t layer = TRY(layer_index(TRY(result.int63("layer"))));
        const Timestamp time = TRY(created(result));
        record.results.push_back({.layers = {layer}, .chained = false, .created = time});
        TRY(count());
      }
      for (const oci::Json chain : TRY(item.list("chains"))) record.results.push_back(TRY(chained(chain)));
      config_.records_.push_back(std::move(record));
    }
    return records_end();
  }

 private:
  static std::unexpected<Error> too_many(std::string_view what, std::size_t count, std::size_t limit) {
    return fail(Code::kResourceExhausted, "the cache has {} {}; at most {} are taken", count, what, limit);
  }

  Status count() {
    if (++links_ > kLinkLimit)
      return fail(Code::kResourceExhausted, "the cache has more than the {} links that are taken", kLinkLimit);
    return {};
  }

  Result<std::vector<Link>> links(const oci::Json& input, std::size_t records) {
    std::vector<Link> links;
    for (const oci::Json item : input.children()) {
      TRY(count());
      Link link;
      link.selector = TRY(item.string("selector"));
      link.record = static_cast<std::size_t>(TRY(item.int63("link")));
      if (link.record >= records) return fail(Code::kInvalidArgument, "{} is a link to no record", item.path());
      if (!link.selector.empty()) (void)TRY(oci::Digest::parse(link.selector));
      links.push_back(std::move(link));
    }
    if (links.empty()) return fail(Code::kInvalidArgument, "{} is an input without a link", input.path());
    return links;
  }

  Result<std::size_t> layer_index(std::int64_t index) const {
    if (static_cast<std::size_t>(index) >= config_.layers_.size())
      return fail(Code::kInvalidArgument, "a record names the layer {}, and there are {}", index,
                  config_.layers_.size());
    return static_cast<std::size_t>(index);
  }

  static Result<Timestamp> created(const oci::Json& result) {
    const std::string text = TRY(result.string("createdAt"));
    if (text.empty()) return Timestamp{};
    return parse_rfc3339(text);
  }

  Result<CachedResult> chained(const oci::Json& item) {
    CachedResult result{.layers = {}, .chained = true, .created = {}};
    result.created = TRY(created(item));
    for (const oci::Json index : TRY(item.list("layers"))) {
      TRY(count());
      const std::int64_t number = TRY(index.as_int63());
      result.layers.push_back(TRY(layer_index(number)));
    }
    if (result.layers.size() > kChainLimit) return too_many("layers in a result", result.layers.size(), kChainLimit);
    return result;
  }

  /// Every chain of parents comes to an end: each layer is walked over once.
  Status layers_end() const {
    enum : unsigned char { kNew, kOnPath, kGood };
    std::vector<unsigned char> state(config_.layers_.size(), kNew);
    std::vector<std::size_t> path;
    for (std::size_t start = 0; start < state.size(); ++start) {
      for (std::optional<std::size_t> at = start; at && state[*at] != kGood; at = config_.layers_[*at].parent) {
        if (state[*at] == kOnPath) return fail(Code::kInvalidArgument, "the layers of the cache go round in a circle");
        state[*at] = kOnPath;
        path.push_back(*at);
      }
      for (const std::size_t at : path) state[at] = kGood;
      path.clear();
    }
    return {};
  }

  /// No record leads to itself: records are taken away once all that they link to are.
  Status records_end() const {
    const auto& records = config_.records_;
    std::vector<std::size_t> open(records.size(), 0);  // links that still hold a record
    std::vector<std::vector<std::size_t>> dependents(records.size());
    for (std::size_t i = 0; i < records.size(); ++i)
      for (const auto& input : records[i].inputs)
        for (const Link& link : input) {
          ++open[i];
          dependents[link.record].push_back(i);
        }
    std::vector<std::size_t> free;
    for (std::size_t i = 0; i < records.size(); ++i)
      if (open[i] == 0) free.push_back(i);
    std::size_t taken = 0;
    while (!free.empty()) {
      const std::size_t at = free.back();
      free.pop_back();
      ++taken;
      for (const std::size_t next : dependents[at])
        if (--open[next] == 0) free.push_back(next);
    }
    if (taken != records.size()) return fail(Code::kInvalidArgument, "the records of the cache go round in a circle");
    return {};
  }

  CacheConfig& config_;
  std::size_t links_ = 0;
};

namespace {

Result<oci::Json> parse_json(std::string_view text) {
  return oci::Json::parse(text, {.bytes = static_cast<std::size_t>(kConfigLimit), .depth = 16, .values = 1 << 20});
}

}  // namespace

Result<CacheConfig> CacheConfig::parse(std::string_view json) {
  const oci::Json document = TRY(parse_json(json));
  TRY(document.require_object());
  CacheConfig config;
  ConfigReader reader(config);
  TRY(reader.layers(document));
  const auto records = TRY(document.list("records"));
  TRY(reader.records(records));
  return config;
}

Result<CacheConfig> CacheConfig::parse_inline(std::string_view records, const std::vector<oci::Digest>& layers) {
  const oci::Json document = TRY(parse_json(records));
  if (!document.is_array() && !document.is_null())
    return fail(Code::kInvalidArgument, "the cache in the image's config is no list of records");
  CacheConfig config;
  ConfigReader reader(config);
  TRY(reader.own_layers(layers));
  TRY(reader.records(document.children()));
  return config;
}

Result<std::vector<std::size_t>> CacheConfig::chain(const CachedResult& result) const {
  if (result.chained) return result.layers;
  std::vector<std::size_t> chain;
  for (std::optional<std::size_t> at = result.layers.at(0); at; at = layers_[*at].parent) {
    if (chain.size() == kChainLimit)
      return fail(Code::kResourceExhausted, "a result of the cache has more than {} layers", kChainLimit);
    chain.push_back(*at);
  }
  std::ranges::reverse(chain);
  return chain;
}

Result<std::vector<oci::Digest>> CacheConfig::blobs(const CachedResult& result) const {
  std::vector<oci::Digest> blobs;
  for (const std::size_t layer : TRY(chain(result))) blobs.push_back(layers_[layer].blob);
  return blobs;
}

std::size_t ConfigBuilder::add(const oci::Digest& digest, std::vector<std::vector<Link>> inputs) {
  std::string identity = digest.text();
  for (auto& input : inputs) {
    std::ranges::sort(input);
    input.erase(std::unique(input.begin(), input.end()), input.end());
    std::vector<std::string> texts;
    for (const Link& link : input) texts.push_back(link.selector + " " + records_[link.record].identity);
    std::ranges::sort(texts);
    identity += "\n";
    for (const auto& text : texts) identity += " " + text;
  }
  if (!inputs.empty()) identity = digest.text() + " " + oci::Digest::of(identity).text();
  const auto [known, fresh] = record_numbers_.try_emplace(identity, records_.size());
  if (fresh) records_.push_back({.digest = digest, .inputs = std::move(inputs), .result = {}, .identity = identity});
  return known->second;
}

void ConfigBuilder::add_result(std::size_t record, const std::vector<oci::Digest>& blobs, Timestamp created) {
  std::optional<std::size_t> top;
  for (const auto& blob : blobs) {
    const auto [known, fresh] = layer_numbers_.try_emplace({blob.text(), top}, layers_.size());
    if (fresh) layers_.push_back({.blob = blob, .parent = top});
    top = known->second;
  }
  if (!top) return;
  auto& result = records_[record].result;
  if (!result || result->second < created) result = {*top, created};
}

std::size_t ConfigBuilder::depth(std::size_t layer) const {
  std::size_t depth = 0;
  for (std::optional<std::size_t> at = layers_[layer].parent; at; at = layers_[*at].parent) ++depth;
  return depth;
}

ConfigBuilder::Numbers ConfigBuilder::layer_order() const {
  // What lies below decides between equal blobs; it was added before, so its own name is known.
  std::vector<std::pair<std::string, std::size_t>> named;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string below = layers_[i].parent ? names[*layers_[i].parent] : "";
    names.push_back(layers_[i].blob.text() + " " + oci::Digest::of(layers_[i].blob.text() + below).text());
    named.emplace_back(names.back(), i);
  }
  std::ranges::sort(named);
  Numbers order;
  for (const auto& [name, number] : named) order.push_back(number);
  return order;
}

ConfigBuilder::Numbers ConfigBuilder::record_order() const {
  Numbers order;
  for (const auto& [identity, number] : record_numbers_) order.push_back(number);
  return order;
}

void ConfigBuilder::write_records(oci::JsonWriter& json, const Numbers& order, const Results& results) const {
  std::map<std::size_t, std::size_t> place;
  for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  json.begin_array();
  for (const std::size_t number : order) {
    const Held& record = records_[number];
    json.begin_object();
    if (const auto result = results.find(number); result != results.end()) {
      const auto& [top, chain] = result->second;
      json.key(chain.empty() ? "layers" : "chains");
      json.begin_array();
      json.begin_object();
      if (chain.empty()) {
        json.member("layer", static_cast<std::int64_t>(top));
      } else {
        json.key("layers");
        json.begin_array();
        for (const std::size_t layer : chain) json.value(static_cast<std::int64_t>(layer));
        json.end_array();
      }
      json.member("createdAt", rfc3339(record.result->second));
      json.end_object();
      json.end_array();
    }
    json.member("digest", record.digest.text());
    if (!record.inputs.empty()) {
      json.key("inputs");
      json.begin_array();
      for (const auto& input : record.inputs) {
        std::vector<std::pair<std::size_t, std::string>> links;
        for (const Link& link : input) links.emplace_back(place.at(link.record), link.selector);
        std::ranges::sort(links);
        json.begin_array();
        for (const auto& [at, selector] : links) {
          json.begin_object();
          json.nonempty("selector", selector);
          json.member("link", static_cast<std::int64_t>(at));
          json.end_object();
        }
        json.end_array();
      }
      json.end_array();
    }
    json.end_object();
  }
  json.end_array();
}

std::string ConfigBuilder::config() const {
  const Numbers layers = layer_order();
  std::vector<std::size_t> place(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) place[layers[i]] = i;
  oci::JsonWriter json;
  json.begin_object();
  if (!layers.empty()) {
    json.key("layers");
    json.begin_array();
    for (const std::size_t number : layers) {
      const CacheLayer& layer = layers_[number];
      json.begin_object();
      json.member("blob", layer.blob.text());
      const std::int64_t parent = layer.parent ? static_cast<std::int64_t>(place[*layer.parent]) : -1;
      json.nonempty("parent", parent);
      json.end_object();
    }
    json.end_array();
  }
  if (!records_.empty()) {
    Results results;
    for (std::size_t i = 0; i < records_.size(); ++i)
      if (records_[i].result) results[i] = {place[records_[i].result->first], {}};
    json.key("records");
    write_records(json, record_order(), results);
  }
  json.end_object();
  return json.take();
}

std::vector<oci::Digest> ConfigBuilder::blobs() const {
  std::vector<oci::Digest> blobs;
  for (const std::size_t number : layer_order()) blobs.push_back(layers_[number].blob);
  return blobs;
}

std::string ConfigBuilder::inline_records(const std::vector<oci::Digest>& blobs) const {
  Results results;
  std::vector<bool> wanted(records_.size(), false);
  for (std::size_t i = 0; i < records_.size(); ++i) {
    if (!records_[i].result) continue;
    Numbers places;
    for (std::optional<std::size_t> at = records_[i].result->first; at; at = layers_[*at].parent) {
      // Where it would be as one of the image's first layers, else wherever the image has it.
      const std::size_t usual = depth(*at);
      const bool there = usual < blobs.size() && blobs[usual] == layers_[*at].blob;
      const auto found =
          there ? blobs.begin() + static_cast<std::ptrdiff_t>(usual) : std::ranges::find(blobs, layers_[*at].blob);
      if (found == blobs.end()) break;
      places.push_back(static_cast<std::size_t>(found - blobs.begin()));
    }
    std::ranges::reverse(places);
    if (places.size() != depth(records_[i].result->first) + 1) continue;
    bool first = true;
    for (std::size_t n = 0; n < places.size(); ++n) first = first && places[n] == n;
    results[i] = first ? Place{places.size() - 1, {}} : Place{0, std::move(places)};
    wanted[i] = true;
  }
  if (results.empty()) return {};
  for (std::size_t i = records_.size(); i-- > 0;)  // links lead to lower numbers
    if (wanted[i])
      for (const auto& input : records_[i].inputs)
        for (const Link& link : input) wanted[link.record] = true;
  Numbers order = record_order();
  std::erase_if(order, [&](std::size_t number) { return !wanted[number]; });
  oci::JsonWriter json;
  write_records(json, order, results);
  return json.take();
}

}  // namespace slipway::buildcache
