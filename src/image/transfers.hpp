// Transfers: blobs of one image into the store, each downloaded by one process once.
#pragma once

#include <string>
#include <vector>

#include "image/image.hpp"
#include "image/proofs.hpp"

namespace slipway::image {

/// Where the bytes of a blob came from, or went to: "127.0.0.1:5000/team/app". Remembered by the store so that a push
/// to the same registry can mount instead of upload.
[[nodiscard]] std::string origin_of(const oci::Reference& reference);
/// The repository of `reference`'s registry that a blob is known in, if any.
[[nodiscard]] Result<std::optional<std::string>> neighbour_with(const store::Store& store,
                                                                const oci::Reference& reference,
                                                                const oci::Digest& blob);
[[nodiscard]] Status remember_origin(store::Store& store, const oci::Reference& reference, const oci::Digest& blob);
/// The same of layers that are not here: an image has them whose own name may lead nowhere. They are fetched from
/// there.
[[nodiscard]] Status remember_place(const Images& images, const oci::Reference& reference,
                                    const std::vector<oci::Digest>& blobs);

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
        proofs_(images.store, images.scope),
        sink_(sink),
        vertex_(vertex) {}

  /// Makes the blob be here, acquired, for this scope to use. When it has to be transferred, `tee` (may be empty) gets
  /// the bytes too, in order and before they are verified.
  [[nodiscard]] Result<Arrival> ensure(const oci::Descriptor& blob, const layer::Target& tee,
                                       const Cancel& cancel) const;
  [[nodiscard]] const registry::Repository& repository() const { return repository_; }
  [[nodiscard]] const Proofs& proofs() const { return proofs_; }
  /// What the client has to say (Client::take_notices) as warnings.
  void show_notices() const;

 private:
  /// Whether the blob is here, as large as it is said to be, and this scope may use it.
  [[nodiscard]] Result<bool> usable(const oci::Descriptor& blob) const;
  /// `begun` is set once `tee` got bytes.
  [[nodiscard]] Status download(const registry::Repository& repository, const oci::Reference& reference,
                                const oci::Descriptor& blob, const layer::Target& tee, bool& begun,
                                const Cancel& cancel) const;
  /// From where remember_place() says; false when it says nothing or it did not work.
  [[nodiscard]] Result<bool> download_from_place(const oci::Descriptor& blob, const layer::Target& tee, bool& begun,
                                                 const Cancel& cancel) const;

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
    if (bytes < told_) told_ = 0;  // an upload that started over
    if (bytes - told_ < kStep && bytes != total_) return;
    told_ = bytes;
    sink_.on(progress::Transfer{vertex_, object_, bytes, total_});
  }

 private:
  static constexpr std::int64_t kStep = 512 * 1024;
  progress::Sink& sink_;
  progress::VertexId vertex_;
  std::string object_;
  std::int64_t total_;
  std::int64_t told_ = 0;
};

}  // namespace slipway::image
