// Route: which endpoint of the distribution specification a path is.
//
//   /v2/                                       kPing
//   /v2/_catalog                               kCatalog (docker's)
//   /v2/<name>/manifests/<tag or digest>       kManifest
//   /v2/<name>/blobs/<digest>                  kBlob
//   /v2/<name>/blobs/uploads/                  kUploads
//   /v2/<name>/blobs/uploads/<id>              kUpload
//   /v2/<name>/tags/list                       kTags
//   /v2/<name>/referrers/<digest>              kReferrers
#pragma once

#include <string>
#include <string_view>

#include "distribution/problem.hpp"

namespace slipway::distribution {

struct Route {
  enum class Kind : unsigned char { kPing, kCatalog, kManifest, kBlob, kUploads, kUpload, kTags, kReferrers };
  Kind kind = Kind::kPing;
  std::string repository;  ///< a valid name
  std::string object;      ///< what comes last: a tag or digest, an upload's id; not checked
};

/// By a decoded path. 404 for one that is no endpoint, NAME_INVALID for a repository that has no valid name.
[[nodiscard]] std::expected<Route, Problem> route_of(std::string_view path);

/// The specification's name, in oci::Reference's reading of it, at most 255 characters.
[[nodiscard]] bool is_repository_name(std::string_view name);

}  // namespace slipway::distribution
