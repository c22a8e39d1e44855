// Images: what one can do with them without a container. registry × store × layer; the door of this folder.
//
//   Images images{store, lease, client, scope};
//   Resolved base = TRY(images.resolve(ref, platform, PullPolicy::kMissing, sink, vertex, cancel));
//   std::vector<store::Snapshot> chain = TRY(images.unpack(base, sink, vertex, cancel));   // bottom first
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "base/progress.hpp"
#include "image/holder.hpp"
#include "layer/layer.hpp"
#include "oci/image.hpp"
#include "oci/reference.hpp"
#include "registry/client.hpp"
#include "store/origins.hpp"
#include "store/store.hpp"

namespace slipway::image {

enum class PullPolicy : unsigned char {
  kMissing,  ///< the local name first, the registry when it is missing
  kAlways,   ///< ask the registry; bytes that are here are not transferred again
  kNever,
};

/// An image of one platform whose manifest and config are here.
struct Resolved {
  oci::Reference reference;
  oci::Digest target;  ///< what the name points at: manifest or index
  std::string target_media_type;
  oci::Manifest manifest;
  oci::ImageConfig config;
  registry::Trust trust = registry::Trust::kVerified;  ///< of where its layers come from
  bool named = false;                                  ///< resolve() gave it its name, before its layers were seen
  std::optional<store::Name> replaced;                 ///< what had that name until then
  /// Whose word its blobs are used on, when it is not the repository's (image/proofs.hpp).
  std::optional<store::Origin> own = {};
};

/// How an image is pushed.
struct PushOptions {
  bool by_digest = false;  ///< without a name: the reference tells the repository only
  registry::Trust trust = registry::Trust::kVerified;
  /// What transfers are told of, begun and ended by the caller; nothing: the push is a vertex of its own.
  std::optional<progress::VertexId> vertex = {};
  /// Makes the bytes of a blob be here that is neither here nor there: those of layers that nothing has needed yet.
  std::function<Status(const oci::Descriptor& blob, const Cancel& cancel)> fetch = {};
};

struct Images {
  store::Store& store;
  const store::Lease& lease;
  registry::Client& client;
  std::string scope = "default";

  /// Finds or fetches manifest and config (not layers); sets the name when it came from a registry. Layers that are
  /// missing are fetched by unpack().
  [[nodiscard]] Result<Resolved> resolve(const oci::Reference& reference, const oci::Platform& platform,
                                         PullPolicy policy, progress::Sink& sink, progress::VertexId vertex,
                                         const Cancel& cancel) const;
  /// Makes every layer a committed snapshot, bottom first, with gaps fetched and layers unpacked in parallel, one
  /// download per blob over all processes. Diff IDs are verified against the config. An image whose layers turn out to
  /// be wrong loses the name that resolve() gave it.
  [[nodiscard]] Result<std::vector<store::Snapshot>> unpack(const Resolved& image, progress::Sink& sink,
                                                            progress::VertexId vertex, const Cancel& cancel) const;
  /// Makes sure that all blobs of the image are here (for save, push) without unpacking.
  [[nodiscard]] Status fetch(const Resolved& image, progress::Sink& sink, progress::VertexId vertex,
                             const Cancel& cancel) const;
  /// The layers among them, all or those that `wanted` names.
  [[nodiscard]] Status fetch_layers(const Resolved& image, const std::vector<oci::Digest>& wanted, progress::Sink& sink,
                                    progress::VertexId vertex, const Cancel& cancel) const;
  /// As fetch(), of a manifest that a name of this store leads to.
  [[nodiscard]] Status fetch_named(const oci::Reference& name, const oci::Manifest& manifest, progress::Sink& sink,
                                   progress::VertexId vertex, const Cancel& cancel) const;
  /// Whose word the image's blobs are used on.
  [[nodiscard]] store::Origin origin(const Resolved& image) const;
  /// Whether a blob of the image is here and may be used (image/proofs.hpp); nobody is asked.
  [[nodiscard]] Result<bool> holds(const Resolved& image, const oci::Digest& blob) const;
  /// Makes sure that the layers are what the config says and may be used: fetches those that are not known to.
  [[nodiscard]] Status prove(const Resolved& image, progress::Sink& sink, progress::VertexId vertex,
                             const Cancel& cancel) const;
  /// resolve + unpack: `slipway pull` returns when the layers are unpacked.
  [[nodiscard]] Result<Resolved> pull(const oci::Reference& reference, const oci::Platform& platform,
                                      progress::Sink& sink, const Cancel& cancel) const;
  /// Uploads layers (in parallel), config, manifest (index last) of `target` under `reference`. Gives the pushed
  /// manifest's descriptor.
  [[nodiscard]] Result<oci::Descriptor> push(const oci::Digest& target, const std::string& media_type,
                                             const oci::Reference& reference, progress::Sink& sink,
                                             const Cancel& cancel, const PushOptions& options = {}) const;
};

/// Whether a document that `name` leads to may be given out with the blob that it names: on the word that is written
/// down with the name (image/proofs.hpp).
[[nodiscard]] Result<bool> holds_named(const store::Store& store, const oci::Reference& name,
                                       const oci::Digest& document, const oci::Digest& blob,
                                       std::string_view scope = "default");
/// The word for a further name of an image that is here under the names `held_by`, or under none: what may be used of
/// it under them may be under the new one. Of several words the one that holds most.
[[nodiscard]] Result<std::string> word_to_share(const store::Store& store, std::string_view scope,
                                                const oci::Digest& target, const std::vector<std::string>& held_by);

/// save: docker-archive and OCI layout in one tar (manifest.json + index.json + blobs/sha256/…), as docker ≥ 25 writes
/// it; read by docker 20.10 and skopeo.
enum class ArchiveKind : unsigned char { kBoth, kOciOnly };
struct SaveItem {
  std::vector<oci::Reference> references;  ///< may be empty
  oci::Digest target;
  std::string media_type;
  Holder holder;                                        ///< nothing is written that is not its
  std::map<std::string, std::string> annotations = {};  ///< of its descriptor in index.json
};
[[nodiscard]] Status save(store::Store& store, const std::vector<SaveItem>& items, ArchiveKind kind,
                          const layer::Target& target, const Cancel& cancel);

/// The same as an OCI layout in `directory` (a trusted path; made when it is missing). An image that is there already
/// stays unless one of the new names is its tag; blobs that are there and whole are not written again. Files appear
/// whole; index.json comes last, and many processes may add to one layout at once. kInvalidArgument when the directory
/// holds an index.json that is none.
[[nodiscard]] Status save_layout(store::Store& store, const std::vector<SaveItem>& items, const std::string& directory,
                                 const Cancel& cancel);

struct Loaded {
  oci::Digest target;
  std::string media_type;
  std::vector<oci::Reference> references;  ///< names the archive gave
};
/// Reads an archive stream (plain, gzip, zstd) of docker-archive, OCI layout or both; every byte is verified; nothing
/// of the archive's paths touches the disk. `seekable` input is not required: blobs are streamed into the store as they
/// come, whatever their order.
[[nodiscard]] Result<std::vector<Loaded>> load(store::Store& store, const store::Lease& lease,
                                               const layer::Source& source, const Cancel& cancel);
/// The same of an OCI layout in a directory: every image that its index.json names. `directory` is a trusted path.
[[nodiscard]] Result<std::vector<Loaded>> load_layout(store::Store& store, const store::Lease& lease,
                                                      const std::string& directory, const Cancel& cancel);
/// One image of it: the one called `tag`, or of this digest; with neither "latest", or the only one.
[[nodiscard]] Result<Loaded> import_layout(store::Store& store, const store::Lease& lease, const std::string& directory,
                                           const std::string& tag, const std::string& digest, const Cancel& cancel);
/// A plain root file system tar as a one-layer image (docker import).
[[nodiscard]] Result<Loaded> import_rootfs(store::Store& store, const store::Lease& lease, const layer::Source& source,
                                           const oci::Platform& platform, const Cancel& cancel);
/// Told apart by content: docker-archive / OCI layout → load, else root file system. `import FILE REF`.
[[nodiscard]] Result<std::vector<Loaded>> import_any(store::Store& store, const store::Lease& lease,
                                                     const layer::Source& source, const oci::Platform& platform,
                                                     const Cancel& cancel);

/// The documents behind a name, for inspect, history, images.
struct Details {
  oci::Digest target;
  std::string media_type;
  oci::Manifest manifest;
  oci::ImageConfig config;
  std::int64_t size = 0;  ///< unpacked bytes of all layers where known, else blob bytes
};
/// `platform`: nothing for this machine's, or the first that is here where there is none for this machine. What is not
/// the holder's is not here.
[[nodiscard]] Result<Details> details(store::Store& store, const Holder& holder, const oci::Digest& target,
                                      const std::string& media_type, const std::optional<oci::Platform>& platform);

/// The manifest of one platform that is here.
struct PresentImage {
  oci::Descriptor descriptor;
  oci::Manifest manifest;
};
/// The images that are here, and the holder's, of a manifest or index (of which only some may have been pulled), in its
/// order; no attestations.
[[nodiscard]] Result<std::vector<PresentImage>> present_images(const store::Store& store, const Holder& holder,
                                                               const oci::Digest& target,
                                                               const std::string& media_type);

/// Resolves what a user typed: a reference, an image id (config digest) or a unique prefix of one.
struct Found {
  oci::Digest target;
  std::string media_type;
  std::vector<std::string> references;
  Holder holder;  ///< by a name it was found by, else all that it has
};
[[nodiscard]] Result<Found> find(store::Store& store, std::string_view scope, const std::string& text);

}  // namespace slipway::image
