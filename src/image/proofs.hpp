// Proofs: what may be used of the bytes that are here. The store is shared and a digest is no secret, so that bytes are
// here says nothing of who may have them, and that a manifest names them says nothing either: anybody can write one
// (docs/registries.md, "What is here already"; design: proof by HEAD). One rule, whoever asks:
//
//   * What a repository of a registry names may be used when that very repository served the bytes to this store, or
//     got them from it, within the last twelve hours. Who reaches this point has just got the manifest from there, with
//     credentials of its own. Where it was longer ago, or another repository of the same registry, a HEAD of the blob
//     with those credentials is enough, and renews the note. For everything else the bytes are transferred from there
//     and verified; what is here already is not kept twice, nor unpacked again. Losing a note costs a transfer.
//   * What an image that was built, loaded or imported here names may be used when it was rightly here when the image
//     was made: that is noted then. No question is asked.
//   * What a name of this store leads to keeps what it has: what was proven for that manifest since the repository gave
//     it. It goes when the repository gives the manifest anew and is not known to have the blob still.
//   * What an OCI layout in a directory names has to be in that directory now (layout_directory.hpp).
//
// Whose word counts for what a name leads to is written down with the name (store::Name::word): its own (`own`), or
// "REGISTRY/REPOSITORY" of who gave it, which a tag takes along. Nothing: the repository that the name says.
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

/// The word of images that were made here, or whose archive held all of them.
inline constexpr std::string_view kOwnWord = "own";
/// That of what a repository gave.
[[nodiscard]] std::string word_of(const store::Origin& repository);
/// That of a name which points at `target`; nothing where there is none.
[[nodiscard]] Result<std::optional<std::string>> word_of(const store::Store& store, std::string_view scope,
                                                         const oci::Reference& name, const oci::Digest& target);
/// Whose word counts for what `document` names, on the word of a name that leads to it: nothing when it is
/// `repository`'s, which is the one that the name says.
[[nodiscard]] std::optional<store::Origin> own_origin(std::string_view word, const store::Origin& repository,
                                                      const oci::Digest& document);
/// The repository of Origin::image_of(), to ask for what is missing.
[[nodiscard]] std::optional<oci::Reference> giver_of(const store::Origin& own);

/// After an upload to `repository`, of which `sent` bytes went out: notes that it has the blob when it got all of them,
/// or when something of its registry had it before. That it says so (a HEAD, a mount) is no proof.
[[nodiscard]] Status note_uploaded(const store::Origins& origins, const store::Origin& repository,
                                   const oci::Descriptor& blob, std::int64_t sent);
/// For an image that was made here, or whose archive held all of it.
[[nodiscard]] Status note_own_blobs(const store::Origins& origins, const oci::Manifest& manifest);

class Proofs {
 public:
  /// Of what `repository`, which is that of `reference`, names. The store outlives the object.
  Proofs(const store::Store& store, const oci::Reference& reference, registry::Repository repository)
      : origins_(store), repository_(std::move(repository)), there_(origin_of(reference, repository_.trust())) {}

  /// From now on of what `document` names: on the word of `own`, an image of this store or a directory; nothing: on
  /// that of the repository.
  void stand_for(std::optional<store::Origin> own, const oci::Digest& document) {
    own_ = std::move(own);
    document_ = document;
  }
  [[nodiscard]] const std::optional<store::Origin>& own() const { return own_; }
  [[nodiscard]] const store::Origin& repository() const { return there_; }

  /// Whether a blob that is here may be used, as far as this store knows; then that is noted for the document.
  [[nodiscard]] Result<bool> hold(const oci::Digest& blob) const;
  /// The same after a HEAD, if that is enough; then it is noted.
  [[nodiscard]] Result<bool> ask(const oci::Digest& blob, const Cancel& cancel) const;
  /// The repository served the bytes, or got them: they may be used.
  [[nodiscard]] Status note_served(const oci::Digest& blob) const;
  /// The bytes were had rightly from elsewhere.
  [[nodiscard]] Status note_own(const oci::Digest& blob) const;
  /// The repository said that it does not have it, or not for us.
  [[nodiscard]] Status note_refused(const oci::Digest& blob) const { return origins_.forget(there_, blob); }

 private:
  store::Origins origins_;
  registry::Repository repository_;
  store::Origin there_;
  std::optional<store::Origin> own_;
  std::optional<oci::Digest> document_;
};

}  // namespace slipway::image
