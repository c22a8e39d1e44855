// Output: one `-o` of a build as a value, and how an image that goes there is written. No I/O; the command line's
// syntax is the command line's matter (spec/dockerfile.md section 12).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "oci/image.hpp"
#include "oci/platform.hpp"
#include "oci/reference.hpp"

namespace slipway::build {

/// One annotation (image-spec annotations.md): where it stands, and for which platform's image.
struct Annotation {
  enum class Place : unsigned char {
    kManifest,
    kManifestDescriptor,  ///< of the manifest, in the index or in a layout's index.json
    kIndex,
    kIndexDescriptor,  ///< of the index, in a layout's index.json
  };
  Place place = Place::kManifest;
  std::optional<oci::Platform> platform;  ///< nothing: every platform's
  std::string key, value;
  friend bool operator==(const Annotation&, const Annotation&) = default;
};

/// How an image is written. Outputs of one build may differ in it: each format gives an image with a digest of its own.
struct ImageFormat {
  /// Of layers that this build or an earlier one made. Nothing: as they are (gzip).
  std::optional<oci::Compression> compression;
  std::optional<int> level;  ///< of layers made here: gzip 0-9, zstd 1-22. Nothing: the usual one
  bool force = false;        ///< `compression` for the layers of base images too
  oci::Family family = oci::Family::kOci;
  bool family_of_base = false;  ///< that of the base image in place of `family`; docker's for FROM scratch
  std::vector<Annotation> annotations;
  friend bool operator==(const ImageFormat&, const ImageFormat&) = default;

  /// The annotations for `place` of the image of `platform` (for an index: nothing), the last of a key wins.
  [[nodiscard]] std::map<std::string, std::string> annotations_of(Annotation::Place place,
                                                                  const std::optional<oci::Platform>& platform) const {
    std::map<std::string, std::string> out;
    for (const auto& annotation : annotations)
      if (annotation.place == place && (!annotation.platform || annotation.platform == platform))
        out[annotation.key] = annotation.value;
    return out;
  }
};

/// One `-o`.
struct Output {
  enum class Type : unsigned char {
    kLocal,      ///< the files, into a directory
    kTar,        ///< the files, as an archive
    kOci,        ///< the image, as an OCI layout
    kDocker,     ///< the image, as an archive that docker loads too
    kImage,      ///< the image, in the store and (`push`) in registries
    kCacheOnly,  ///< nothing: the steps are run
  };
  Type type = Type::kLocal;
  std::string destination;                 ///< a directory (local, oci with `directory`), a file, or "-" (stdout)
  bool directory = false;                  ///< oci: a layout in a directory instead of an archive
  std::vector<oci::Reference> names = {};  ///< besides those of -t
  bool push = false;
  bool by_digest = false;                   ///< pushed without a name; `names` and -t tell the repositories
  bool insecure = false;                    ///< the registry may speak plain HTTP, or TLS with any certificate
  bool store = true;                        ///< false: no name in the store
  std::string dangling_prefix;              ///< an image without a name is kept as PREFIX@DIGEST; empty: without
  bool name_canonical = false;              ///< the names as NAME@DIGEST too
  ImageFormat format = {};                  ///< of oci, docker, image
  std::optional<bool> clamp_times = {};     ///< rewrite-timestamp: file times later than SOURCE_DATE_EPOCH become it
  std::optional<bool> platform_split = {};  ///< local, tar: a directory for each platform
};

}  // namespace slipway::build
