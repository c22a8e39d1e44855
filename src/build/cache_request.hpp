// --cache-from and --cache-to as values: caches that travel between machines in BuildKit's format (docs/caching.md).
// No I/O; the command line's syntax is the command line's matter.
#pragma once

#include <optional>
#include <string>

#include "build/output.hpp"
#include "oci/digest.hpp"
#include "oci/reference.hpp"

namespace slipway::build {

/// Where a cache lies: in a repository, or in a directory as an OCI layout.
struct CachePlace {
  std::optional<oci::Reference> reference;  ///< nothing: `directory`
  bool insecure = false;                    ///< the registry may speak plain HTTP, or TLS with any certificate
  std::string directory;
  std::string tag = "latest";         ///< in the directory
  std::optional<oci::Digest> digest;  ///< in the directory, instead of the tag
  std::string title;                  ///< "type=registry,ref=…": fit to be shown
};

/// One --cache-from.
struct CacheSource {
  CachePlace place;
};

/// One --cache-to.
struct CacheTarget {
  bool in_image = false;  ///< inline: in the config of the image that is built; there is no place then
  CachePlace place;
  bool all = false;  ///< mode=max: the results of all steps, not only of those whose layers the image has
  bool ignore_error = false;
  bool image_manifest = true;  ///< an image manifest; else an index of layers, as older BuildKits write it
  ImageFormat format;          ///< of the layers
};

}  // namespace slipway::build
