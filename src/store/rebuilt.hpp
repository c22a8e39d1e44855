// What a rebuild of meta.db leaves (rebuild.cpp): the old database beside the new one until somebody removes it, and a
// day in which gc takes no document that might have been somebody's.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/error.hpp"
#include "oci/digest.hpp"

namespace slipway::store {

class Connection;

/// The databases of `root` that were set aside, by name ("meta.db.broken-1700000000"), oldest first; an empty one
/// stands for a meta.db that was lost. None when the root can not be read.
[[nodiscard]] std::vector<std::string> set_aside_databases(const std::string& root);

/// Facts of this kind are no memories that only save time: gc lets them have their day.
inline constexpr std::string_view kKeptFact = "kept after a rebuild";
/// Inside a transaction: what gc keeps because meta.db was rebuilt less than a day ago: JSON documents, and the blobs
/// that they name.
[[nodiscard]] Result<std::unordered_set<oci::Digest>> kept_after_rebuild(Connection& db, std::int64_t now);

}  // namespace slipway::store
