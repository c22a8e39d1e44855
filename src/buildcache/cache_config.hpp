// BuildKit's build cache as values: what travels with --cache-to and --cache-from. The door of this folder.
//
//   config      which results lie under which keys, and in which layers          this header
//   lookup      what of a config a vertex of ours may use                        lookup.hpp
//   keys        the keys that BuildKit gives to what our frontend makes          keys.hpp
//
// Words. A *layer* is a blob upon another layer. A *record* is a vertex under one key: its digest, for each input the
// *links* to the records that may stand there, and its *results*, each a chain of layers. A record without inputs is a
// root: a source, or the content that something takes. A *selector* says which part of an input counts.
//
// The document is cache/remotecache/v1/types of BuildKit (application/vnd.buildkit.cacheconfig.v0); in an image's own
// config only its records stand ("moby.buildkit.cache.v0"), the layers being the image's.
//
// A config is foreign. It is limited before it is parsed, and what would make a reader go round in circles or deep is
// refused: links and parents are checked to have no cycle, without recursion.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "oci/digest.hpp"

namespace slipway::oci {
class JsonWriter;
}

namespace slipway::buildcache {

inline constexpr std::string_view kConfigType = "application/vnd.buildkit.cacheconfig.v0";
inline constexpr std::string_view kInlineMember = "moby.buildkit.cache.v0";
inline constexpr std::int64_t kConfigLimit = 8 << 20;
inline constexpr std::int64_t kBuildkitConfigLimit = 1 << 20;  ///< what BuildKit reads of a config that is a blob
inline constexpr std::size_t kLayerLimit = 10'000;
inline constexpr std::size_t kRecordLimit = 50'000;
inline constexpr std::size_t kLinkLimit = 300'000;  ///< of all records together
inline constexpr std::size_t kChainLimit = 1000;    ///< layers of one result

/// Annotations of a layer's descriptor.
inline constexpr const char* kDiffAnnotation = "containerd.io/uncompressed";
inline constexpr const char* kCreatedAnnotation = "buildkit/createdat";

struct CacheLayer {
  oci::Digest blob;
  std::optional<std::size_t> parent;  ///< index of the layer below
  friend bool operator==(const CacheLayer&, const CacheLayer&) = default;
};

struct Link {
  std::string selector;  ///< a digest as text, or empty
  std::size_t record = 0;
  friend auto operator<=>(const Link&, const Link&) = default;
};

struct CachedResult {
  std::vector<std::size_t> layers;  ///< indices: a top layer that stands on its parents, or a chain, bottom first
  bool chained = false;             ///< it is a chain
  Timestamp created;
  friend bool operator==(const CachedResult&, const CachedResult&) = default;
};

struct Record {
  oci::Digest digest;
  std::vector<std::vector<Link>> inputs;  ///< by input; none of them is empty
  std::vector<CachedResult> results;
  friend bool operator==(const Record&, const Record&) = default;
};

class CacheConfig {
 public:
  /// A config document. kInvalidArgument when it is none, kResourceExhausted beyond a limit.
  static Result<CacheConfig> parse(std::string_view json);
  /// The records of an image's config, whose layers are `layers`, bottom first.
  static Result<CacheConfig> parse_inline(std::string_view records, const std::vector<oci::Digest>& layers);

  [[nodiscard]] const std::vector<CacheLayer>& layers() const { return layers_; }
  [[nodiscard]] const std::vector<Record>& records() const { return records_; }
  /// The layers of a result by number, bottom first; kResourceExhausted when they are too many.
  [[nodiscard]] Result<std::vector<std::size_t>> chain(const CachedResult& result) const;
  /// Their blobs.
  [[nodiscard]] Result<std::vector<oci::Digest>> blobs(const CachedResult& result) const;

 private:
  friend class ConfigReader;
  std::vector<CacheLayer> layers_;
  std::vector<Record> records_;
};

/// Puts a config together. What is added twice is there once; the document depends on what was added, not on the order.
class ConfigBuilder {
 public:
  /// A record; `inputs` name records that were added before. The newest result counts. Gives its number.
  std::size_t add(const oci::Digest& digest, std::vector<std::vector<Link>> inputs = {});
  /// A result of a record: blobs, bottom first.
  void add_result(std::size_t record, const std::vector<oci::Digest>& blobs, Timestamp created);
  [[nodiscard]] bool has_results() const { return !layers_.empty(); }

  /// The document.
  [[nodiscard]] std::string config() const;
  /// The blobs of all layers in the document's order.
  [[nodiscard]] std::vector<oci::Digest> blobs() const;
  /// The records for an image whose layers are `blobs`, bottom first: of results only those whose layers the image has.
  /// Empty when there is none.
  [[nodiscard]] std::string inline_records(const std::vector<oci::Digest>& blobs) const;

 private:
  struct Held {
    oci::Digest digest;
    std::vector<std::vector<Link>> inputs;
    std::optional<std::pair<std::size_t, Timestamp>> result;  ///< top layer
    std::string identity;                                     ///< of digest and inputs, whatever their numbers are
  };
  std::vector<Held> records_;
  std::vector<CacheLayer> layers_;
  std::map<std::pair<std::string, std::optional<std::size_t>>, std::size_t> layer_numbers_;
  std::map<std::string, std::size_t> record_numbers_;  ///< by what they are

  using Numbers = std::vector<std::size_t>;
  [[nodiscard]] Numbers layer_order() const;
  [[nodiscard]] Numbers record_order() const;
  [[nodiscard]] std::size_t depth(std::size_t layer) const;
  /// A result in a document: a layer with all below it, or a chain of layers.
  struct Place {
    std::size_t top = 0;
    Numbers chain;
  };
  using Results = std::map<std::size_t, Place>;  ///< by record
  void write_records(oci::JsonWriter& json, const Numbers& order, const Results& results) const;
};

}  // namespace slipway::buildcache
