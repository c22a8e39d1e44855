// What gc, fsck and rebuild need to know of origins (origins.cpp). Not part of the door.
#pragma once

#include <string>
#include <vector>

#include "oci/digest.hpp"
#include "store/sqlite.hpp"

namespace slipway::store {

/// Inside a write transaction: the rows of blobs that are gone.
[[nodiscard]] Status drop_origins(Connection& db, const std::vector<oci::Digest>& blobs);

/// Everything of the tables that a broken file still gives away; whatever stops it, stops it.
struct SavedOrigin {
  std::string registry, repository;
  oci::Digest blob;
  std::int64_t noted = 0;
};
[[nodiscard]] std::vector<SavedOrigin> save_origins(Connection& db);
/// Inside a write transaction: puts back those whose blobs are here.
[[nodiscard]] Status restore_origins(Connection& db, const std::vector<SavedOrigin>& saved);

}  // namespace slipway::store
