// Document: a manifest or index as a registry looks at it: what it is, what it needs, what it refers to.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "oci/descriptor.hpp"
#include "oci/digest.hpp"
#include "store/repositories.hpp"

namespace slipway::distribution {

struct Document {
  store::NewManifest manifest;         ///< its digest is sha256's
  std::vector<oci::Descriptor> named;  ///< config and layers, or entries, that it needs, with the sizes it tells
  std::string artifact_type;           ///< of an image manifest without one: its config's media type
  std::map<std::string, std::string> annotations;
};

/// `media_type` as a Content-Type said, without parameters; empty: the document tells. Layers that are not distributed
/// are not needed. kInvalidArgument for what is no document, or one with two readings.
[[nodiscard]] Result<Document> read_document(std::string_view bytes, std::string_view media_type);

}  // namespace slipway::distribution
