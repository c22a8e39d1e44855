// Origins: who has the bytes of a blob besides this store. That bytes are here says nothing of who may have them; that
// a repository served them, or took them from us, says that it has them (image/proofs.hpp).
//
//   const Origins origins(store);
//   TRY(origins.note({"registry.example:5000", "team/app"}, blob));  // served by it, or pushed there
//   if (TRY(origins.has(Origin::image(manifest), blob))) …           // rightly part of an image of this store
//
// What is noted of a repository counts for kFresh seconds; what is noted of images lasts. A row goes with its blob;
// those of an image with the image's document too. They survive kill -9; losing one costs a transfer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "oci/digest.hpp"
#include "store/store.hpp"

namespace slipway::store {

struct Origin {
  std::string registry;  ///< who, with what it was believed by (image/proofs.hpp); or one of those below
  std::string repository;
  /// An image or index that was made or loaded here, by the digest of its document: what it names and was rightly here
  /// then.
  static Origin image(const oci::Digest& document);
  /// One that the repository gave us: what it names and the repository had since.
  static Origin image_of(const Origin& repository, const oci::Digest& document);
  /// A directory that is read like a registry: an OCI layout, by its real path.
  static Origin folder(std::string_view path);
  [[nodiscard]] bool is_folder() const;
  /// Of image_of(): "REGISTRY/REPOSITORY"; empty otherwise.
  [[nodiscard]] std::string given_by() const;
  friend bool operator==(const Origin&, const Origin&) = default;
};

class Origins {
 public:
  static constexpr std::int64_t kFresh = 12 * 60 * 60;

  /// The store outlives the object.
  explicit Origins(const Store& store) : store_(&store) {}

  [[nodiscard]] Result<bool> has(const Origin& origin, const oci::Digest& blob) const;
  /// Whether it had it once, however long ago.
  [[nodiscard]] Result<bool> had(const Origin& origin, const oci::Digest& blob) const;
  /// A repository of the registry that is said to have the blob, if any. No proof.
  [[nodiscard]] Result<std::optional<std::string>> repository_with(std::string_view registry,
                                                                   const oci::Digest& blob) const;
  /// Those of `blobs` that are here; what is known already is not written again.
  [[nodiscard]] Status note(const Origin& origin, std::span<const oci::Digest> blobs) const;
  [[nodiscard]] Status note(const Origin& origin, const oci::Digest& blob) const { return note(origin, {&blob, 1}); }
  [[nodiscard]] Status forget(const Origin& origin, const oci::Digest& blob) const;
  /// The repository has just said that it has the document: notes it, and forgets of image_of() what is not known to be
  /// there any more.
  [[nodiscard]] Status arrived(const Origin& repository, const oci::Digest& document) const;

 private:
  const Store* store_;
};

}  // namespace slipway::store
