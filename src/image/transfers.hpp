// Transfers: blobs of one image into the store, each downloaded by one process once.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "image/image.hpp"
#include "image/proofs.hpp"

namespace slipway::image {

/// Where layers of an image of this store are that were not here when it was made: its own name may lead nowhere.
/// `document`: its manifest.
[[nodiscard]] Status remember_place(store::Store& store, const oci::Digest& document, const oci::Reference& place,
                                    const std::vector<oci::Digest>& blobs);
[[nodiscard]] Result<std::optional<oci::Reference>> place_of(const store::Store& store, const oci::Digest& document,
                                                             const oci::Digest& blob);
/// The same of what is used on the word of `own`: where it was given, or what remember_place() says.
[[nodiscard]] Result<std::optional<oci::Reference>> place_of(const store::Store& store, const store::Origin& own,
                                                             const oci::Digest& blob);
/// The same of an image that was resolved: the repository that it came from, if from one.
[[nodiscard]] Result<std::optional<oci::Reference>> place_of(const store::Store& store, const Resolved& image,
                                                             const oci::Digest& blob);

/// How a blob came to be here.
enum class Arrival : unsigned char {
  kWasHere,
  kTransferred,  ///< and the tee got its bytes
  kSpoiled,      ///< transferred; but the tee got wrong bytes, of a mirror, before
};

class Transfers {
 public:
  Transfers(const Images& images, const oci::Reference& reference, progress::Sink& sink, progress::VertexId vertex,
            registry::Trust trust = registry::Trust::kVerified)
      : images_(images),
        reference_(reference),
        repository_(images.client.repository(reference, trust)),
        proofs_(images.store, reference, repository_),
        sink_(sink),
        vertex_(vertex) {}
  /// For the blobs of a resolved image, which outlives the object.
  Transfers(const Images& images, const Resolved& image, progress::Sink& sink, progress::VertexId vertex)
      : Transfers(images, image.reference, sink, vertex, image.trust) {
    stand_for(image.own, image.manifest.digest());
  }
  void stand_for(std::optional<store::Origin> own, const oci::Digest& document) {
    proofs_.stand_for(std::move(own), document);
  }

  /// Makes the blob be here, acquired, and proven (proofs.hpp). When it has to be transferred, `tee` (may be empty)
  /// gets the bytes too, in order and before they are verified.
  [[nodiscard]] Result<Arrival> ensure(const oci::Descriptor& blob, const layer::Target& tee,
                                       const Cancel& cancel) const;
  /// Whether what is here of a blob may be used; nobody is asked, but a directory is looked at.
  [[nodiscard]] Result<bool> holds(const oci::Descriptor& blob) const;
  [[nodiscard]] const registry::Repository& repository() const { return repository_; }
  [[nodiscard]] const Proofs& proofs() const { return proofs_; }
  /// What the client has to say (Client::take_notices) as warnings.
  void show_notices() const;

 private:
  /// Whether the blob is here, may be used, and is as large as it is said to be.
  [[nodiscard]] Result<bool> usable(const oci::Descriptor& blob) const;
  /// What another repository may be asked about, or a directory looked at for; as usable().
  [[nodiscard]] Result<bool> becomes_usable(const oci::Descriptor& blob, const Cancel& cancel) const;
  /// `begun` is set once `tee` got bytes.
  [[nodiscard]] Result<registry::Word> download(const registry::Repository& repository, const oci::Descriptor& blob,
                                                const layer::Target& tee, bool& begun, const Cancel& cancel) const;
  /// From where place_of() says, for an image of this store; nothing when it says nothing, or when it did not work and
  /// the repository that the name says had the blob once.
  [[nodiscard]] Result<std::optional<Arrival>> take_from_place(const oci::Descriptor& blob, const layer::Target& tee,
                                                               bool& begun, const Cancel& cancel) const;

  const Images& images_;
  const oci::Reference& reference_;
  registry::Repository repository_;
  Proofs proofs_;
  progress::Sink& sink_;
  progress::VertexId vertex_;
};

/// Tells a sink how far one object is, not more often than each half mebibyte.
class TransferReport {
 public:
  TransferReport(progress::Sink& sink, progress::VertexId vertex, std::string object, std::int64_t total)
      : sink_(sink), vertex_(vertex), object_(std::move(object)), total_(total) {}
  void done(std::int64_t bytes) {
    farthest_ = std::max(farthest_, bytes);
    if (bytes < told_) told_ = 0;  // an upload that started over
    if (bytes - told_ < kStep && bytes != total_) return;
    told_ = bytes;
    sink_.on(progress::Transfer{vertex_, object_, bytes, total_});
  }
  [[nodiscard]] std::int64_t farthest() const { return farthest_; }

 private:
  static constexpr std::int64_t kStep = 512 * 1024;
  progress::Sink& sink_;
  progress::VertexId vertex_;
  std::string object_;
  std::int64_t total_;
  std::int64_t told_ = 0;
  std::int64_t farthest_ = 0;
};

}  // namespace slipway::image
