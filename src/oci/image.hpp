// Images as values: descriptor, manifest, index, config, of both families (OCI and Docker v2 schema 2).
//
// Bytes that are hashed are kept: `Manifest`, `Index` and `ImageConfig` hold their raw bytes beside the parsed view and
// are made either by parse() of foreign bytes or by make() of ours. What we author is written as Go's encoder writes it
// (field order of image-spec's Go structs, omitempty, `<` `>` `&` U+2028 U+2029 escaped), see oci/canonical_json.hpp.
// Foreign bytes are limited before they are parsed: manifest, index and config 8 MiB, 1,000 layers, JSON depth 64,
// sizes unsigned 63-bit. A manifest with `manifests` or an index with `layers`/`config` is refused (CVE-2021-41190),
// and so are a body whose mediaType differs from the one its descriptor names, a name given twice in one object, and a
// name that only Go's case-insensitive decoder would take for a field: one digest must not have two readings.
// Malformed documents are kInvalidArgument, oversized ones kResourceExhausted.
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
#include "oci/platform.hpp"

namespace slipway::oci {

inline constexpr std::int64_t kManifestLimit = 8 << 20;
inline constexpr std::int64_t kConfigLimit = 8 << 20;
inline constexpr std::size_t kLayerLimit = 1000;
inline constexpr std::size_t kIndexEntryLimit = 10'000;  ///< entries of one index (a shared layout has many)

enum class Family : unsigned char { kOci, kDocker };
enum class Compression : unsigned char { kNone, kGzip, kZstd };

namespace media_type {
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";

[[nodiscard]] bool is_manifest(std::string_view type);
[[nodiscard]] bool is_index(std::string_view type);
/// The layer compression that a media type promises; nothing for one that is no layer (also foreign/nondistributable
/// ones count as layers). Readers still look at the bytes: registries mislabel gzip as plain.
[[nodiscard]] std::optional<Compression> layer_compression(std::string_view type);
[[nodiscard]] std::string_view layer(Family family, Compression compression);  ///< Docker has no zstd: OCI's is given
/// What a Content-Type says: "application/x; charset=utf-8" → "application/x" in lower case.
[[nodiscard]] std::string of_content_type(std::string_view header);
}  // namespace media_type

/// image-spec descriptor.md. `urls` of foreign documents are kept for display and never fetched.
struct Descriptor {
  std::string media_type;
  Digest digest;
  std::int64_t size = 0;
  std::vector<std::string> urls;
  std::map<std::string, std::string> annotations;
  std::optional<Platform> platform;
  std::string artifact_type;
  friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

/// Whether an entry of an index is BuildKit's provenance or SBOM of an image beside it, no image.
[[nodiscard]] bool is_attestation(const Descriptor& entry);

class Manifest {
 public:
  /// `media_type`: what the Content-Type (through media_type::of_content_type) or the descriptor said; empty when
  /// unknown: then the body's own decides, and a body without one is OCI.
  static Result<Manifest> parse(std::string raw, std::string_view media_type);
  static Manifest make(Family family, Descriptor config, std::vector<Descriptor> layers,
                       std::map<std::string, std::string> annotations = {});
  [[nodiscard]] const std::string& raw() const { return raw_; }
  [[nodiscard]] const std::string& media_type() const { return media_type_; }
  [[nodiscard]] Family family() const;
  [[nodiscard]] const Descriptor& config() const { return config_; }
  [[nodiscard]] const std::vector<Descriptor>& layers() const { return layers_; }
  [[nodiscard]] const std::map<std::string, std::string>& annotations() const { return annotations_; }
  [[nodiscard]] Digest digest() const { return Digest::of(raw_); }
  /// The descriptor that names this manifest.
  [[nodiscard]] Descriptor descriptor() const;

 private:
  Manifest(std::string raw, std::string media_type, Descriptor config, std::vector<Descriptor> layers)
      : raw_(std::move(raw)),
        media_type_(std::move(media_type)),
        config_(std::move(config)),
        layers_(std::move(layers)) {}
  std::string raw_, media_type_;
  Descriptor config_;
  std::vector<Descriptor> layers_;
  std::map<std::string, std::string> annotations_;
};

class Index {
 public:
  /// As Manifest::parse.
  static Result<Index> parse(std::string raw, std::string_view media_type);
  static Index make(Family family, std::vector<Descriptor> manifests,
                    std::map<std::string, std::string> annotations = {});
  [[nodiscard]] const std::string& raw() const { return raw_; }
  [[nodiscard]] const std::string& media_type() const { return media_type_; }
  [[nodiscard]] const std::vector<Descriptor>& manifests() const { return manifests_; }
  [[nodiscard]] const std::map<std::string, std::string>& annotations() const { return annotations_; }
  [[nodiscard]] Digest digest() const { return Digest::of(raw_); }
  /// The descriptor that names this index.
  [[nodiscard]] Descriptor descriptor() const;
  /// The entry for `wanted` (containerd's order: exact variant first; attestation manifests are never chosen). An entry
  /// may be an index again: the caller follows at most 4 levels. One without a platform is taken when no other serves;
  /// its config tells. kNotFound names the platforms that there are.
  [[nodiscard]] Result<Descriptor> select(const Platform& wanted) const;

 private:
  Index() = default;
  std::string raw_, media_type_;
  std::vector<Descriptor> manifests_;
  std::map<std::string, std::string> annotations_;
};

/// Durations are nanoseconds, as Docker stores them.
struct Healthcheck {
  std::vector<std::string> test;
  std::int64_t interval = 0, timeout = 0, start_period = 0, start_interval = 0;
  int retries = 0;
  friend bool operator==(const Healthcheck&, const Healthcheck&) = default;
};

/// The `config` object: what a container starts with. Absent and empty differ where Docker differs.
struct RunConfig {
  std::string user;
  std::vector<std::string> exposed_ports;              ///< "80/tcp", kept sorted and unique
  std::vector<std::string> env;                        ///< "K=V" in order
  std::optional<std::vector<std::string>> entrypoint;  ///< null and absent are nothing, [] is an empty list
  std::optional<std::vector<std::string>> cmd;         ///< likewise; make() leaves out both, as Docker's encoder does
  std::optional<Healthcheck> healthcheck;
  bool args_escaped = false;
  std::vector<std::string> volumes;  ///< kept sorted and unique
  std::string working_dir;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  std::vector<std::string> on_build;
  std::vector<std::string> shell;
  friend bool operator==(const RunConfig&, const RunConfig&) = default;
};

struct History {
  std::optional<Timestamp> created;
  std::string created_by, author, comment;
  bool empty_layer = false;
  friend bool operator==(const History&, const History&) = default;
};

/// The parsed view of an image config (image-spec config.md + Docker's additions).
struct ImageConfigView {
  std::optional<Timestamp> created;
  std::string author;
  Platform platform;
  RunConfig config;
  std::vector<DiffId> diff_ids;
  std::vector<History> history;
  std::string inline_cache = {};  ///< BuildKit's cache records (buildcache/), in base64, as they came
  friend bool operator==(const ImageConfigView&, const ImageConfigView&) = default;
};

class ImageConfig {
 public:
  /// Fields that we do not know stay in raw() only. Strings are kept as they came and never trusted.
  static Result<ImageConfig> parse(std::string raw);
  /// Written as BuildKit writes it (config.cpp tells the order). view() of the answer is what parse() makes of it: sets
  /// sorted, empty entrypoint and cmd absent.
  static ImageConfig make(ImageConfigView view);
  [[nodiscard]] const std::string& raw() const { return raw_; }
  [[nodiscard]] const ImageConfigView& view() const { return view_; }
  [[nodiscard]] Digest digest() const { return Digest::of(raw_); }  ///< docker's image id

 private:
  ImageConfig(std::string raw, ImageConfigView view) : raw_(std::move(raw)), view_(std::move(view)) {}
  std::string raw_;
  ImageConfigView view_;
};

}  // namespace slipway::oci
