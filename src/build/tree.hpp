// Tree: what COPY reads from. A build context (with its .dockerignore) or the merged snapshots of a stage, seen alike:
// paths are resolved inside the root, symlinks followed where asked, never out of it (invariant 1 of docs/security.md).
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "layer/merged_dir.hpp"
#include "oci/digest.hpp"

namespace slipway::build {

/// What a context hides. Paths are relative to the root, without a leading slash.
struct Filter {
  std::function<bool(const std::string& path)> excluded;
  /// Whether nothing below an excluded directory can be included again.
  std::function<bool(const std::string& path)> prunable;
};

enum class FollowLast : unsigned char { kNo, kYes };

class Tree {
 public:
  using Found = layer::MergedDir::Found;

  Tree(layer::MergedDir root, std::optional<Filter> filter) : root_(std::move(root)), filter_(std::move(filter)) {}

  /// A directory of the tree and its path ("" for the root).
  struct Directory {
    layer::MergedDir dir;
    std::string path;
  };
  /// Where a path leads: its canonical form (no links, no dots, no leading slash), and what is there, if anything is.
  struct Resolved {
    std::string path;
    std::optional<Found> found;
    std::optional<Directory> parent;  ///< holds `found`; none for the root and below missing directories
    [[nodiscard]] std::string name() const { return path.substr(path.rfind('/') + 1); }
  };

  /// Walks `path` from the root. ".." stops at the root; a missing component ends the following of links: the rest is
  /// appended as it is written. More than 40 links are an error.
  [[nodiscard]] Result<Resolved> resolve(const std::string& path, FollowLast follow) const;
  /// The directory at a resolved path.
  [[nodiscard]] Result<Directory> open_directory(const Resolved& at) const;
  [[nodiscard]] Directory root() const { return {root_, ""}; }

  /// Children that the filter lets through, sorted bytewise.
  [[nodiscard]] Result<std::vector<layer::MergedDir::Child>> list(const Directory& directory) const;
  /// One child, if it is there and the filter lets it through.
  [[nodiscard]] Result<std::optional<Found>> find(const Directory& directory, const std::string& name) const;
  /// A small file, links followed; nothing when it is missing; kOutOfRange above `limit`. For /etc/passwd and the like.
  [[nodiscard]] Result<std::optional<std::string>> read_small_file(const std::string& path, std::int64_t limit) const;
  /// Paths of the tree that match a COPY source pattern (Go's filepath.Match per component), sorted; links in
  /// directories of the pattern are followed. A pattern without wildcards gives its path when it exists.
  [[nodiscard]] Result<std::vector<std::string>> glob(const std::string& pattern) const;

 private:
  /// Whether an excluded directory holds something that is included again: asked for by every look at it, and answered
  /// by reading what is below. Once in a build is enough: what it holds is looked at again when it is summed and
  /// copied.
  class Remembered {
   public:
    [[nodiscard]] std::optional<bool> find(const std::string& path) const;
    void keep(const std::string& path, bool shown);

   private:
    mutable std::mutex mutex_;
    std::unordered_map<std::string, bool> shown_;
  };

  [[nodiscard]] Result<bool> visible(const Directory& parent, const std::string& name, bool is_directory) const;
  [[nodiscard]] Result<bool> holds_included(const Directory& parent, const std::string& name,
                                            const std::string& path) const;
  /// False for names in `directory` that are excluded with all that may be below: whatever they are, they are not
  /// shown.
  [[nodiscard]] std::function<bool(const std::string&)> may_show(const Directory& directory) const;
  layer::MergedDir root_;
  std::optional<Filter> filter_;
  std::shared_ptr<Remembered> remembered_ = std::make_shared<Remembered>();
};

/// "a/b" of "a" and "b"; "b" of "" and "b".
[[nodiscard]] std::string join_path(const std::string& directory, const std::string& name);

/// filepath.Clean of a path taken as absolute, without its leading slash: "/a/../b/" → "b".
[[nodiscard]] std::string clean_rooted(std::string_view path);

}  // namespace slipway::build
