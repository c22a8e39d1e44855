// Extractor: makes an archive's members in a directory. Every decision of invariant 2 (docs/security.md) is taken here:
// parents are resolved inside the root (openat2 RESOLVE_IN_ROOT, or a walk by descriptor where some are missing), the
// last component is a name, files are made by O_EXCL and worked on by their descriptor, link targets are stored as they
// are.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "layer/directory_cache.hpp"
#include "layer/entry.hpp"
#include "layer/layer.hpp"
#include "layer/tar_reader.hpp"

namespace slipway::layer {

class Extractor {
 public:
  /// `root` must stay open; `content` gives the content of the entry that add() is called with.
  Extractor(int root, const UnpackOptions& options, TarReader& content, const Cancel& cancel)
      : root_(root), options_(options), content_(content), cancel_(cancel) {}

  [[nodiscard]] Status add(const Entry& entry);
  /// Directories get their last mtimes and modes. Once, after the last entry.
  [[nodiscard]] Status finish();

  [[nodiscard]] std::int64_t entries() const { return entries_; }
  [[nodiscard]] std::int64_t tree_bytes() const { return tree_bytes_; }

 private:
  using Slot = DirectoryCache::Slot;

  /// A name in an open directory: where an entry goes.
  struct Place {
    Slot* parent;
    std::string name;
    const std::string& path;
  };

  [[nodiscard]] Status check_limits(const Entry& entry);
  [[nodiscard]] Status add_at(const Entry& entry, const std::string& path);
  [[nodiscard]] Status make(const Entry& entry, const Place& place);
  [[nodiscard]] Status make_file(const Entry& entry, const Place& place);
  [[nodiscard]] Status write_content(const Entry& entry, int fd);
  [[nodiscard]] Status make_directory(const Entry& entry, const Place& place);
  [[nodiscard]] Status make_symlink(const Entry& entry, const Place& place);
  [[nodiscard]] Status make_hard_link(const Entry& entry, const Place& place);
  [[nodiscard]] Status make_special(const Entry& entry, const Place& place);
  [[nodiscard]] Status make_device_stand_in(const Entry& entry, const Place& place);
  [[nodiscard]] Status set_root(const Entry& entry);

  /// Calls `create` (0, or -1 with errno), and again after what stands in its way was removed.
  template <class Create>
  [[nodiscard]] Status create_replacing(const Place& place, Create create);
  [[nodiscard]] Status remove(const Place& place);

  /// Owner, attributes, mode and mtime of an open file or directory.
  [[nodiscard]] Status set_metadata(const Entry& entry, int fd, const struct stat& now);
  [[nodiscard]] Status set_xattrs(const Entry& entry, int fd);
  /// Owner, attributes and mtime of something that can not be opened.
  [[nodiscard]] Status set_metadata_by_name(const Entry& entry, const Place& place);
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> owner_of(const Entry& entry) const;
  [[nodiscard]] std::uint32_t mode_of(const Entry& entry) const;

  /// The open directory of a cleaned path; with `create` missing ones are made, without it null is the answer.
  [[nodiscard]] Result<Slot*> directory(const std::string& path, bool create);
  [[nodiscard]] Result<sys::Fd> walk(const std::string& path);
  [[nodiscard]] Result<sys::Fd> step_into(int at, const std::string& name, const std::string& path);
  [[nodiscard]] Status make_parent(int at, const std::string& name);

  [[nodiscard]] Status add_whiteout(const std::string& parent, std::string_view name, const std::string& path);
  [[nodiscard]] Status set_opaque(int dir, const std::string& path);
  [[nodiscard]] Status hide_lower(Slot& parent, const std::string& name, const std::string& path);
  [[nodiscard]] Status remove_lower_children(int dir, const std::string& path);
  [[nodiscard]] static std::uint64_t key_of(ino_t parent, std::string_view name);
  void remember(const Place& place);

  int root_;
  const UnpackOptions& options_;
  TarReader& content_;
  const Cancel& cancel_;
  DirectoryCache cache_;
  std::int64_t entries_ = 0;
  std::int64_t tree_bytes_ = 0;
  /// Whiteouts::kApply only: hashes of the names this archive made; a whiteout takes lower layers' names, not these.
  std::unordered_set<std::uint64_t> made_;
  /// Directories that an ordinary user could not enter if they had their mode already.
  std::vector<std::pair<std::string, std::uint32_t>> late_modes_;
};

}  // namespace slipway::layer
