#include "store/tree_check.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/text.hpp"
#include "layer/capability.hpp"
#include "layer/codec.hpp"
#include "layer/entry_path.hpp"
#include "layer/merged_dir.hpp"
#include "layer/tar_reader.hpp"
#include "layer/tree_file.hpp"
#include "layer/whiteout.hpp"
#include "oci/digest.hpp"
#include "sys/file.hpp"

namespace slipway::store {
namespace {

constexpr std::size_t kMostDifferences = 100;

/// What the layer says about one name.
struct Expected {
  layer::Entry entry;
  std::optional<oci::Digest> content;  ///< of files
  bool whiteout = false;
  bool seen = false;
};

/// A name in a directory of the tree. By inode, not by path: a layer may reach a directory through its own symlinks.
std::string key_of(ino_t directory, std::string_view name) {
  std::string key(reinterpret_cast<const char*>(&directory), sizeof directory);
  key.append(name);
  return key;
}

/// The attributes that a layer carries and a tree shows (layer/tree_file.cpp).
layer::Xattrs kept_xattrs(const layer::Xattrs& all) {
  layer::Xattrs kept;
  for (const auto& [name, value] : all) {
    if (name == layer::kCapabilityXattr) {
      kept.emplace_back(name, layer::without_namespace(value));
    } else if (name.starts_with("user.") && !layer::is_control_xattr(name)) {
      kept.emplace_back(name, value);
    }
  }
  return kept;
}

/// The layer as a table of names.
class Table {
 public:
  Table(int fs, const Cancel& cancel) : fs_(fs), cancel_(cancel) {}

  Status read(const layer::Source& compressed) {
    const layer::Source plain = TRY(layer::decoder(compressed));
    std::string buffer(256 * 1024, '\0');
    layer::TarReader reader(
        [&]() -> Result<std::string_view> {
          TRY(cancel_.check());
          const std::size_t got = TRY(plain(buffer.data(), buffer.size()));
          return std::string_view(buffer.data(), got);
        },
        limits_);
    layer::Entry entry;
    while (TRY(reader.next(entry))) TRY(add(entry, reader));
    return reader.drain();
  }

  [[nodiscard]] Expected* find(ino_t directory, std::string_view name) {
    const auto found = names_.find(key_of(directory, name));
    return found == names_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] bool opaque(ino_t directory) const { return opaque_.contains(directory); }
  [[nodiscard]] const std::optional<layer::Entry>& root() const { return root_; }

  template <class Visit>
  void for_each_unseen(Visit visit) const {
    for (const auto& [key, expected] : names_) {
      if (!expected.seen) visit(expected.entry.path, expected.whiteout);
    }
  }
  [[nodiscard]] const std::vector<std::string>& lost_parents() const { return lost_parents_; }

 private:
  Status add(const layer::Entry& entry, layer::TarReader& reader) {
    const std::string path = TRY(layer::clean_path(entry.path, limits_));
    if (path.empty()) {
      root_ = entry;
      return {};
    }
    const layer::PathParts parts = layer::split_path_parts(path);
    if (path.starts_with(layer::kAufsPrefix) && parts.name != layer::kOpaqueName) return {};
    if (path.find(fmt::format("/{}", layer::kAufsPrefix)) != std::string::npos && parts.name != layer::kOpaqueName)
      return {};
    const auto parent = TRY(directory(parts.parent));
    if (!parent) {
      lost_parents_.push_back(parts.parent);
      return {};
    }
    if (parts.name == layer::kOpaqueName) {
      opaque_.insert(*parent);
      return {};
    }
    if (parts.name.starts_with(layer::kWhiteoutPrefix)) {
      const std::string name = parts.name.substr(layer::kWhiteoutPrefix.size());
      Expected hidden{
          .entry = {.path = parts.parent.empty() ? name : parts.parent + "/" + name}, .content = {}, .whiteout = true};
      // An entry of the same name in this layer stands instead of the whiteout.
      names_.emplace(key_of(*parent, name), std::move(hidden));
      return {};
    }
    if (entry.type == layer::EntryType::kHardLink) return add_hard_link(entry, path, *parent, parts.name);
    Expected expected{.entry = entry, .content = {}};
    expected.entry.path = path;
    expected.entry.xattrs = kept_xattrs(entry.xattrs);
    if (entry.type == layer::EntryType::kFile) expected.content = TRY(hash_content(entry.size, reader));
    names_.insert_or_assign(key_of(*parent, parts.name), std::move(expected));
    return {};
  }

  /// One more name of what the target is at this point of the archive.
  Status add_hard_link(const layer::Entry& entry, const std::string& path, ino_t parent, const std::string& name) {
    const std::string target = TRY(layer::clean_path(entry.link_target, limits_));
    const layer::PathParts parts = layer::split_path_parts(target);
    const auto directory_of_target = TRY(directory(parts.parent));
    const Expected* same = directory_of_target ? find(*directory_of_target, parts.name) : nullptr;
    if (same == nullptr) return {};
    Expected copy = *same;
    copy.entry.path = path;
    names_.insert_or_assign(key_of(parent, name), std::move(copy));
    return {};
  }

  /// Holes count as the zeros that they read as.
  Result<oci::Digest> hash_content(std::int64_t size, layer::TarReader& reader) {
    oci::Hasher hasher;
    std::int64_t at = 0;
    const auto zeros_to = [&](std::int64_t end) {
      static const std::string zeros(64 * 1024, '\0');
      for (; at < end; at += static_cast<std::int64_t>(std::min<std::int64_t>(end - at, std::ssize(zeros))))
        hasher.update(std::string_view(zeros).substr(0, static_cast<std::size_t>(end - at)));
    };
    for (auto piece = TRY(reader.read()); !piece.bytes.empty(); piece = TRY(reader.read())) {
      zeros_to(piece.offset);
      hasher.update(piece.bytes);
      at = piece.offset + static_cast<std::int64_t>(piece.bytes.size());
    }
    zeros_to(size);
    return hasher.finish();
  }

  /// The inode of a directory of the tree, resolved as the unpacker resolves parents; nothing when it is not there.
  Result<std::optional<ino_t>> directory(const std::string& path) {
    if (last_ && last_->first == path) return last_->second;
    const auto opened = sys::open_in_root(fs_, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
    if (!opened) {
      const int number = opened.error().sys_errno();
      if (number == ENOENT || number == ENOTDIR || number == ELOOP) return std::nullopt;
      return std::unexpected(opened.error());
    }
    const ino_t inode = TRY(sys::stat_fd(opened->get(), path)).st_ino;
    last_.emplace(path, inode);
    return inode;
  }

  int fs_;
  const Cancel& cancel_;
  layer::Limits limits_;
  std::unordered_map<std::string, Expected> names_;
  std::unordered_set<ino_t> opaque_;
  std::optional<layer::Entry> root_;
  std::vector<std::string> lost_parents_;
  std::optional<std::pair<std::string, ino_t>> last_;
};

/// The first difference of what both say of themselves; content and attributes are looked at elsewhere.
std::optional<std::string> compare_facts(const layer::Entry& should, const layer::Entry& is) {
  if (should.type != is.type) return "is of another type";
  if (should.size != is.size) return fmt::format("has {} bytes, should have {}", is.size, should.size);
  if (should.link_target != is.link_target) return "is a link to another target";
  // A symlink has no mode of its own on Linux.
  if (should.type != layer::EntryType::kSymlink && should.mode != is.mode)
    return fmt::format("has the mode {:04o}, should have {:04o}", is.mode, should.mode);
  if (should.uid != is.uid || should.gid != is.gid)
    return fmt::format("belongs to {}:{}, should belong to {}:{}", is.uid, is.gid, should.uid, should.gid);
  if (should.mtime.seconds != is.mtime.seconds)
    return fmt::format("was changed at {}, should be {}", is.mtime.seconds, should.mtime.seconds);
  if (should.dev_major != is.dev_major || should.dev_minor != is.dev_minor) return "is another device";
  return std::nullopt;
}

class TreeWalk {
 public:
  TreeWalk(int fs, Table& table, const std::vector<int>& lowers, const Cancel& cancel)
      : fs_(fs), table_(table), lowers_(lowers), cancel_(cancel) {}

  Result<std::vector<TreeDifference>> run() {
    TRY(check_root());
    std::vector<std::string> open = {""};  // not recursive: a tree may be deeper than the stack
    while (!open.empty() && differences_.size() < kMostDifferences) {
      const std::string path = std::move(open.back());
      open.pop_back();
      TRY(walk(path, open));
    }
    if (differences_.size() >= kMostDifferences) return std::move(differences_);
    for (const auto& path : table_.lost_parents()) differ(path, "is missing");
    table_.for_each_unseen([&](const std::string& path, bool whiteout) {
      differ(path, whiteout ? "should hide what is below it" : "is missing");
      explain(layer::split_path_parts(path).parent);
    });
    for (const auto& [path, entry] : unexplained_) {
      if (!explained_.contains(path) && !TRY(lower_has_directory(path, entry))) differ(path, kForeign);
    }
    return std::move(differences_);
  }

 private:
  static constexpr std::string_view kForeign = "is not part of its layer";

  void differ(std::string path, std::string_view problem) {
    if (differences_.size() < kMostDifferences) differences_.push_back({std::move(path), std::string(problem)});
  }

  Status check_root() {
    const layer::TreeFile root = TRY(layer::open_tree_root(fs_));
    if (table_.opaque(root.info.st_ino) && !root.opaque) differ("/", "is not opaque");
    if (!table_.root()) return {};
    layer::Entry should = *table_.root();
    should.xattrs = kept_xattrs(should.xattrs);
    if (const auto problem = compare_facts(should, root.entry)) differ("/", *problem);
    return {};
  }

  Status walk(const std::string& path, std::vector<std::string>& open) {
    const sys::Fd dir = TRY(sys::open_beneath(fs_, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY));
    const ino_t inode = TRY(sys::stat_fd(dir.get(), path)).st_ino;
    for (const auto& name : TRY(sys::list_directory(dir.get(), path))) {
      TRY(cancel_.check());
      std::string child = path.empty() ? name : path + "/" + name;
      const auto info = TRY(sys::lstat_at(dir.get(), name));
      if (!info) continue;
      Expected* expected = table_.find(inode, name);
      if (expected != nullptr) {
        expected->seen = true;
        explain(path);
      }
      if (layer::is_whiteout(*info)) {
        TRY(check_whiteout(child, expected));
        continue;
      }
      TRY(check_child(dir.get(), name, *info, child, expected));
      if (S_ISDIR(info->st_mode)) open.push_back(std::move(child));
    }
    return {};
  }

  Status check_whiteout(const std::string& path, const Expected* expected) {
    if (expected != nullptr && expected->whiteout) return {};
    if (expected != nullptr) {
      differ(path, "is of another type");
      return {};
    }
    // One that hides nothing is left out of layers.
    if (TRY(lower(path))) differ(path, "is hidden, and its layer does not say so");
    return {};
  }

  Status check_child(int dir, const std::string& name, const struct stat& info, const std::string& path,
                     const Expected* expected) {
    auto opened = layer::open_tree_file(dir, name, info, path);
    if (!opened && opened.error().code() == Code::kPermissionDenied) return std::unexpected(opened.error());
    if (!opened) {
      differ(path, fmt::format("can not be read: {}", opened.error().what()));
      return {};
    }
    if (!*opened) return {};  // a socket: layers hold none
    const layer::TreeFile& file = **opened;
    if (S_ISDIR(info.st_mode) && table_.opaque(info.st_ino) && !file.opaque) differ(path, "is not opaque");
    if (expected != nullptr) {
      if (const auto problem = TRY(compare(*expected, file))) differ(path, *problem);
    } else if (file.entry.type == layer::EntryType::kDirectory) {
      unexplained_.emplace_back(path, file.entry);
    } else if (!TRY(equals_lower(path, file))) {
      differ(path, kForeign);
    }
    return {};
  }

  Result<std::optional<std::string>> compare(const Expected& expected, const layer::TreeFile& file) {
    if (expected.whiteout) return "is there, and its layer removes it";
    if (auto problem = compare_facts(expected.entry, file.entry)) return problem;
    const bool has_attributes =
        file.entry.type == layer::EntryType::kFile || file.entry.type == layer::EntryType::kDirectory;
    if (has_attributes && expected.entry.xattrs != file.entry.xattrs) return "has other extended attributes";
    if (!expected.content) return std::nullopt;
    const auto found = hash(file.fd.get());
    if (!found && found.error().sys_errno() == EIO) return fmt::format("can not be read: {}", found.error().what());
    if (!found) return std::unexpected(found.error());
    if (*found != *expected.content) return "has other bytes";
    return std::nullopt;
  }

  Result<oci::Digest> hash(int fd) {
    oci::Hasher hasher;
    buffer_.resize(256 * 1024);
    while (const std::size_t got = TRY(sys::read_some(fd, buffer_.data(), buffer_.size()))) {
      TRY(cancel_.check());
      hasher.update({buffer_.data(), got});
    }
    return hasher.finish();
  }

  /// The directory `path` and those above it hold something of the layer.
  void explain(std::string path) {
    while (!path.empty() && explained_.insert(path).second) path = layer::split_path_parts(path).parent;
  }

  /// A path as the lower snapshots show it.
  struct Lower {
    layer::MergedDir dir;
    std::string name;
    layer::MergedDir::Found found;
  };
  Result<std::optional<Lower>> lower(const std::string& path) {
    if (lowers_.empty()) return std::nullopt;
    layer::MergedDir dir = TRY(layer::MergedDir::open(lowers_));
    const auto names = split(path, '/');
    for (std::size_t i = 0;; ++i) {
      const std::string name(names[i]);
      const auto found = TRY(dir.find(name));
      if (!found) return std::nullopt;
      if (i + 1 == names.size()) return Lower{std::move(dir), name, *found};
      if (!S_ISDIR(found->info.st_mode)) return std::nullopt;
      dir = TRY(dir.enter(name));
    }
  }

  Result<bool> equals_lower(const std::string& path, const layer::TreeFile& file) {
    const auto below = TRY(lower(path));
    if (!below) return false;
    const struct stat& a = below->found.info;
    const struct stat& b = file.info;
    if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid || a.st_size != b.st_size ||
        a.st_mtim.tv_sec != b.st_mtim.tv_sec || a.st_rdev != b.st_rdev)
      return false;
    if (S_ISLNK(a.st_mode)) return TRY(below->dir.read_link(below->name, below->found)) == file.entry.link_target;
    if (!S_ISREG(a.st_mode)) return true;
    const sys::Fd other = TRY(below->dir.open_child(below->name, below->found));
    return layer::BytesEqual()(other.get(), file.fd.get(), a.st_size, path);
  }

  Result<bool> lower_has_directory(const std::string& path, const layer::Entry& entry) {
    const auto below = TRY(lower(path));
    if (!below) return false;
    const struct stat& info = below->found.info;
    return S_ISDIR(info.st_mode) && (info.st_mode & 07777) == entry.mode && info.st_uid == entry.uid &&
           info.st_gid == entry.gid;
  }

  int fs_;
  Table& table_;
  const std::vector<int>& lowers_;
  const Cancel& cancel_;
  std::vector<TreeDifference> differences_;
  std::unordered_set<std::string> explained_;
  std::vector<std::pair<std::string, layer::Entry>> unexplained_;  ///< directories that the layer does not name
  std::string buffer_;
};

}  // namespace

Result<std::vector<TreeDifference>> check_tree(int fs, const layer::Source& compressed, const std::vector<int>& lowers,
                                               const Cancel& cancel) {
  Table table(fs, cancel);
  TRY(table.read(compressed));
  return TreeWalk(fs, table, lowers, cancel).run();
}

}  // namespace slipway::store
