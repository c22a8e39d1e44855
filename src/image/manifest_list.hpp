// Manifest lists made by hand: an index of images that are in a registry already, kept in the store until it is pushed.
//
//   ManifestLists lists(images);
//   TRY(lists.create(reference("r.example/app:1"), {amd64, arm64}, Amend::kNo, cancel));
//   TRY(lists.annotate(list, arm64, {.variant = "v8"}, cancel));
//   const oci::Descriptor pushed = TRY(lists.push(list, sink, cancel));
//
// A list is a name in a scope of its own ("manifest-lists") for an index whose entries carry an annotation that says
// where each image is. Manifests are fetched when they are added, so that a list can be looked at without a registry.
// What is pushed has no such annotation: an OCI index when all images are OCI, Docker's manifest list otherwise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "image/image.hpp"

namespace slipway::image {

struct ListMember {
  oci::Reference reference;    ///< where it is, with its digest
  oci::Descriptor descriptor;  ///< with its platform
};

/// What annotate() sets; members without a value stay.
struct PlatformEdit {
  std::optional<std::string> os, architecture, variant, os_version;
  std::vector<std::string> os_features = {};
};

enum class Amend : bool { kNo, kYes };

class ManifestLists {
 public:
  explicit ManifestLists(const Images& images, registry::Trust trust = registry::Trust::kVerified)
      : images_(images), trust_(trust) {}

  /// Adds the images to a list; one that is in it already is replaced. kAlreadyExists for a list that is there without
  /// Amend::kYes; kInvalidArgument for an image of another registry, which could not be pushed with it. A member that
  /// is an index itself counts for the one image in it (attestations apart), or is refused.
  [[nodiscard]] Status create(const oci::Reference& list, const std::vector<oci::Reference>& members, Amend amend,
                              const Cancel& cancel) const;
  [[nodiscard]] Status annotate(const oci::Reference& list, const oci::Reference& member, const PlatformEdit& edit,
                                const Cancel& cancel) const;
  /// Nothing when there is no such list.
  [[nodiscard]] Result<std::optional<std::vector<ListMember>>> find(const oci::Reference& list) const;
  /// The index as it would be pushed.
  [[nodiscard]] static oci::Index index_of(const std::vector<ListMember>& members);
  /// Makes every image be in the list's repository (mounted, or copied where the registry does not mount), then puts
  /// the index. kNotFound when there is no such list.
  [[nodiscard]] Result<oci::Descriptor> push(const oci::Reference& list, progress::Sink& sink,
                                             const Cancel& cancel) const;
  [[nodiscard]] Result<bool> remove(const oci::Reference& list) const;

 private:
  Result<ListMember> look_up(const oci::Reference& member, const Cancel& cancel) const;
  Result<oci::Platform> platform_of(const oci::Reference& member, const oci::Manifest& manifest,
                                    const Cancel& cancel) const;
  Status copy(const ListMember& member, const oci::Reference& list, progress::Sink& sink, const Cancel& cancel) const;
  Status keep(const oci::Reference& list, const std::vector<ListMember>& members) const;
  Result<std::vector<ListMember>> need(const oci::Reference& list) const;

  const Images& images_;
  registry::Trust trust_;
};

}  // namespace slipway::image
