// Proofs: what may be used of the bytes that are here. The store is shared and a digest is no secret, so that bytes are
// here says nothing of who may have them, and that a manifest names them says nothing either: anybody can write one
// (docs/registries.md, "What is here already"; design: proof by HEAD). One rule, whoever asks:
//
//   * What a repository of a registry names may be used when that very repository served the bytes to this store, or
//     got them from it. Who reaches this point has just got the manifest from there, with credentials of its own. Where
//     another repository of the same registry did, a HEAD of the blob with those credentials is enough. For everything
//     else the bytes are transferred from there and verified; what is here already is not kept twice, nor unpacked
//     again. Losing a note costs a transfer.
//   * What an image of this store names (built, loaded, imported or tagged here) may be used when it was rightly here
//     when the image was made: that is noted then. No question is asked.
//   * What an OCI layout in a directory names has to be in that directory now (layout_directory.hpp).
//
// A registry is its name (host and port) and what it was believed by: what somebody with any certificate served does
// not count for one whose certificate was verified, nor the other way round. So HTTPS and plain HTTP are told apart,
// but on loopback. A mirror counts for the registry that it mirrors.
#pragma once

#include <optional>

#include "base/cancel.hpp"
#include "oci/image.hpp"
#include "oci/reference.hpp"
#include "registry/client.hpp"
#include "store/origins.hpp"

namespace slipway::image {

[[nodiscard]] store::Origin origin_of(const oci::Reference& reference, registry::Trust trust);

/// Whose word counts for a document that a name of this store points at: nothing when it is `repository`'s, which gave
/// it to us or got it from us; else the image's own.
[[nodiscard]] Result<std::optional<store::Origin>> own_origin(const store::Store& store,
                                                              const store::Origin& repository,
                                                              const oci::Digest& document);

/// For an image that was made here, or whose archive held all of it.
[[nodiscard]] Status note_own_blobs(const store::Origins& origins, const oci::Manifest& manifest);

class Proofs {
 public:
  /// Of what `repository`, which is that of `reference`, names. The store outlives the object.
  Proofs(const store::Store& store, const oci::Reference& reference, registry::Repository repository)
      : origins_(store), repository_(std::move(repository)), there_(origin_of(reference, repository_.trust())) {}

  /// From now on of what `own` names, an image of this store or a directory; nothing: of what the repository names.
  void stand_for(std::optional<store::Origin> own) { own_ = std::move(own); }
  [[nodiscard]] const std::optional<store::Origin>& own() const { return own_; }
  [[nodiscard]] const store::Origin& repository() const { return there_; }

  /// Whether a blob that is here may be used, as far as this store knows.
  [[nodiscard]] Result<bool> hold(const oci::Digest& blob) const;
  /// The same after a HEAD, if that is enough; then it is noted.
  [[nodiscard]] Result<bool> ask(const oci::Digest& blob, const Cancel& cancel) const;
  /// The repository served the bytes, or got them: they may be used.
  [[nodiscard]] Status note_served(const oci::Digest& blob) const;
  /// The bytes were had rightly from elsewhere.
  [[nodiscard]] Status note_own(const oci::Digest& blob) const;

 private:
  store::Origins origins_;
  registry::Repository repository_;
  store::Origin there_;
  std::optional<store::Origin> own_;
};

}  // namespace slipway::image
