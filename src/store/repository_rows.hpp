// What gc, fsck and rebuild need to know of repositories (repositories.cpp, uploads.cpp). Not part of the door.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/core.hpp"

namespace slipway::store {

/// Inside a transaction: what was pushed to repositories and stays there, for mark.
[[nodiscard]] Result<std::vector<oci::Digest>> pushed_roots(Connection& db, std::int64_t now);
/// Likewise what mirrors have, most recently used first: manifests, and blobs that no manifest names yet.
struct MirroredRoot {
  oci::Digest digest;
  std::int64_t used;
};
[[nodiscard]] Result<std::vector<MirroredRoot>> mirrored_roots(Connection& db, std::int64_t now);
/// Inside a write transaction of gc: links of blobs that no manifest names and that had their time, links of blobs that
/// are gone, repositories that hold nothing.
[[nodiscard]] Status remove_stale_links(Connection& db, std::int64_t now);
/// Inside a transaction: whether remove_stale_links() would do something.
[[nodiscard]] Result<bool> has_stale_links(Connection& db, std::int64_t now);
/// Uploads that nobody has open and nobody touched for `life` seconds, files without a row. Gives the bytes that were
/// freed.
[[nodiscard]] Result<std::int64_t> sweep_uploads(Core& core, std::int64_t life);

/// Inside a transaction: the id of a repository that is there.
[[nodiscard]] Result<std::optional<std::int64_t>> find_repository(Connection& db, std::string_view scope,
                                                                  std::string_view name);
/// Inside a write transaction: the repository's row, when nothing is left in it.
[[nodiscard]] Status drop_empty_repository(Connection& db, std::int64_t repository);
/// Files of uploads whose rows were removed.
void remove_upload_files(const Core& core, const std::vector<std::string>& ids);

/// A link for fsck.
struct LinkRow {
  std::int64_t repository = 0;
  std::string name;  ///< "team/app", with the scope in front of a mirror's
  oci::Digest digest;
  bool manifest = false;
};
[[nodiscard]] Result<std::vector<LinkRow>> repository_links(Connection& db);
/// Inside a write transaction: with the tags of a manifest.
[[nodiscard]] Status drop_link(Connection& db, const LinkRow& link);

/// Everything of the tables that a broken file still gives away; whatever stops it, stops it.
struct SavedRepositories {
  struct Link {
    std::string scope, name;
    oci::Digest digest;
    std::int64_t kind;
    std::string media_type;
    std::optional<oci::Digest> subject;
    std::int64_t linked;
  };
  struct TagRow {
    std::string scope, name, tag;
    oci::Digest target;
    std::int64_t checked;
  };
  std::vector<Link> links;
  std::vector<TagRow> tags;
};
[[nodiscard]] SavedRepositories save_repositories(Connection& db);
/// Puts back those links whose blobs are here, their tags, and what the manifests name.
[[nodiscard]] Status restore_repositories(Core& core, const SavedRepositories& saved);

/// Inside a write transaction: the repository's row, made when it is not there.
[[nodiscard]] Result<std::int64_t> repository_id(Connection& db, std::string_view scope, std::string_view name);
/// Inside a write transaction.
[[nodiscard]] Status write_blob_link(Connection& db, std::int64_t repository, const oci::Digest& digest,
                                     std::int64_t now);

}  // namespace slipway::store
