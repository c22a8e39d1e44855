#include <fcntl.h>

#include <algorithm>

#include "base/text.hpp"
#include "layer/layer.hpp"
#include "layer/member_writer.hpp"
#include "layer/stack.hpp"
#include "layer/tree_file.hpp"
#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::layer {
namespace {

struct Change {
  std::string path;     ///< as in the archive: a whiteout's is "dir/.wh.name"
  bool marker = false;  ///< a whiteout or an opaque marker: nothing of it is read from disk
};

std::string join_path(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

/// Finds what differs. The upper directory only proposes: overlayfs copies up what did not change. Directories are
/// scanned one by one from a list, so neither depth nor width of a hostile tree costs stack or descriptors; of the
/// lowers only names that the upper has are looked at, so the cost does not grow with the image.
class ChangeFinder {
 public:
  ChangeFinder(int upper, const std::vector<int>& lowers, const ChangesOptions& options, const Cancel& cancel)
      : upper_(upper), lowers_(lowers), options_(options), cancel_(cancel) {}

  /// Sorted bytewise by path.
  Result<std::vector<Change>> find() {
    directories_.push_back({.path = "", .above = 0, .listed = true});
    TRY(compare_root());
    pending_.push_back({.directory = 0, .parts = lowers_.all()});
    while (!pending_.empty()) {
      TRY(cancel_.check());
      const Pending next = std::move(pending_.back());
      pending_.pop_back();
      TRY(scan(next));
    }
    std::sort(changes_.begin(), changes_.end(), [](const Change& a, const Change& b) { return a.path < b.path; });
    return std::move(changes_);
  }

 private:
  struct Directory {
    std::string path;
    std::size_t above = 0;  ///< index of its parent
    bool listed = false;    ///< it is among the changes
  };
  struct Pending {
    std::size_t directory = 0;
    Parts parts;  ///< lowers that lie under it
  };
  struct Child {
    std::string name;
    struct stat info{};
    Parts parts;
    bool found = false;    ///< the merged lowers have the name
    bool settled = false;  ///< lowers further down have no say
    bool changed = false;
  };

  Status compare_root() {
    const TreeFile upper = TRY(open_tree_root(upper_));
    // Its mtime changes with every name at the top and its entry is not in docker's layers: only what else differs
    // counts.
    Entry lower{.type = EntryType::kDirectory, .path = "", .mode = 0755};
    if (lowers_.size() > 0) lower = TRY(open_tree_root(TRY(lowers_.open_directory(0, "")).get())).entry;
    lower.mtime = upper.entry.mtime;
    if (upper.entry != lower) changes_.push_back({.path = ""});
    return {};
  }

  Status scan(const Pending& pending) {
    const std::string path = directories_[pending.directory].path;
    const sys::Fd dir = TRY(open_directory_beneath(upper_, path));
    std::vector<Child> children = TRY(list(dir.get(), path));
    Parts parts = pending.parts;
    if (!parts.empty() && TRY(is_opaque(dir.get(), path))) TRY(add_opaque(pending.directory, parts));
    for (const auto layer : parts) {
      if (std::all_of(children.begin(), children.end(), [](const Child& child) { return child.settled; })) break;
      const sys::Fd lower = TRY(lowers_.open_directory(layer, path));
      for (auto& child : children)
        if (!child.settled) TRY(look_up(child, layer, dir.get(), lower.get(), path));
      if (TRY(is_opaque(lower.get(), path))) break;
    }
    for (auto& child : children) TRY(judge(child, pending.directory));
    return {};
  }

  Result<std::vector<Child>> list(int dir, const std::string& path) {
    std::vector<Child> children;
    for (auto& name : TRY(sys::list_directory(dir, path))) {
      const auto info = TRY(sys::lstat_at(dir, name));
      if (!info) return fail(Code::kAborted, "{} vanished while it was read", quoted(join_path(path, name)));
      children.push_back({.name = std::move(name), .info = *info});
    }
    return children;
  }

  /// An opaque directory hides the lowers; where there is nothing to hide the mark is overlayfs's own shortcut for new
  /// directories and says nothing.
  Status add_opaque(std::size_t directory, Parts& parts) {
    const std::string& path = directories_[directory].path;
    if (!TRY(lowers_.children(path, parts)).empty()) {
      changes_.push_back({.path = join_path(path, kOpaqueName), .marker = true});
      include(directory);
    }
    parts.clear();
    return {};
  }

  /// One lower's word about a name of the upper.
  Status look_up(Child& child, std::uint16_t layer, int upper, int lower, const std::string& path) {
    const auto info = TRY(sys::lstat_at(lower, child.name));
    if (!info) return {};
    const bool both_directories = S_ISDIR(info->st_mode) && S_ISDIR(child.info.st_mode);
    child.settled = !both_directories;
    if (is_whiteout(*info)) return {};
    if (!child.found) {
      child.found = true;
      child.changed = is_whiteout(child.info) ? true : TRY(differs(child, *info, upper, lower, path));
    }
    if (both_directories) child.parts.push_back(layer);
    return {};
  }

  Status judge(Child& child, std::size_t directory) {
    const std::string& above = directories_[directory].path;
    if (!options_.ignored.empty() &&
        std::ranges::find(options_.ignored, join_path(above, child.name)) != options_.ignored.end())
      return {};
    if (child.name.starts_with(kWhiteoutPrefix))
      return fail(Code::kInvalidArgument, "{} can not be kept in a layer: names that begin with {} mean removed files",
                  quoted(join_path(above, child.name)), quoted(kWhiteoutPrefix));
    if (is_whiteout(child.info) || S_ISSOCK(child.info.st_mode)) {
      if (!child.found) return {};
      changes_.push_back({.path = join_path(above, std::string(kWhiteoutPrefix) + child.name), .marker = true});
      include(directory);
      return {};
    }
    const bool listed = !child.found || child.changed;
    if (S_ISDIR(child.info.st_mode)) {
      directories_.push_back({.path = join_path(above, child.name), .above = directory});
      pending_.push_back({.directory = directories_.size() - 1, .parts = std::move(child.parts)});
      if (listed) include(directories_.size() - 1);
    } else if (listed) {
      changes_.push_back({.path = join_path(above, child.name)});
      include(directory);
    }
    return {};
  }

  /// The directory and all above it are in the layer.
  void include(std::size_t directory) {
    for (auto* next = &directories_[directory]; !next->listed; next = &directories_[next->above]) {
      next->listed = true;
      changes_.push_back({.path = next->path});
    }
  }

  /// Layers hold whole seconds, and no later ones than the clamp: so that is what is compared, or the answer would
  /// depend on whether a lower was unpacked or built here.
  std::int64_t seconds(const struct stat& info) const {
    const std::int64_t mtime = info.st_mtim.tv_sec;
    return options_.clamp_mtime ? std::min(mtime, *options_.clamp_mtime) : mtime;
  }

  Result<bool> differs(const Child& child, const struct stat& lower_info, int upper_dir, int lower_dir,
                       const std::string& above) {
    const struct stat& info = child.info;
    // Recorded owners stand in what open_tree_file() gives.
    if (info.st_mode != lower_info.st_mode || info.st_uid != lower_info.st_uid || info.st_gid != lower_info.st_gid ||
        seconds(info) != seconds(lower_info) || (S_ISREG(info.st_mode) && info.st_size != lower_info.st_size))
      return true;
    const std::string path = join_path(above, child.name);
    auto upper = TRY(open_tree_file(upper_dir, child.name, info, path));
    auto lower = TRY(open_tree_file(lower_dir, child.name, lower_info, path));
    if (!upper || !lower) return upper.has_value() != lower.has_value();
    lower->entry.mtime = upper->entry.mtime;
    if (upper->entry != lower->entry) return true;
    if (upper->entry.type != EntryType::kFile) return false;
    return !TRY(bytes_equal_(upper->fd.get(), lower->fd.get(), upper->entry.size, path));
  }

  int upper_;
  Stack lowers_;
  const ChangesOptions& options_;
  const Cancel& cancel_;
  std::vector<Directory> directories_;  ///< of the upper, as far as they were seen
  std::vector<Pending> pending_;
  std::vector<Change> changes_;
  BytesEqual bytes_equal_;
};

Status write_change(const Change& change, int upper, int parent, MemberWriter& writer) {
  if (change.marker) return writer.add_marker(change.path);
  if (change.path.empty()) return writer.add(TRY(open_tree_root(upper)), 0);
  const std::string name = change.path.substr(change.path.rfind('/') + 1);
  const auto info = TRY(sys::lstat_at(parent, name));
  if (!info) return fail(Code::kAborted, "{} vanished while it was read", quoted(change.path));
  auto file = TRY(open_tree_file(parent, name, *info, change.path));
  return file ? writer.add(*std::move(file), 0) : Status();
}

}  // namespace

Result<Written> write_changes(int upper, const std::vector<int>& lowers, const Target& target,
                              const ChangesOptions& options, const Cancel& cancel) {
  const auto changes = TRY(ChangeFinder(upper, lowers, options, cancel).find());
  MemberWriter writer(target, options.clamp_mtime, cancel);
  sys::Fd parent = TRY(open_directory_beneath(upper, ""));
  std::string parent_path;
  for (const auto& change : changes) {
    const auto slash = change.path.rfind('/');
    const std::string_view above =
        slash == std::string::npos ? std::string_view{} : std::string_view(change.path).substr(0, slash);
    if (above != parent_path) {
      parent_path = above;
      parent = TRY(open_directory_beneath(upper, parent_path));
    }
    TRY(write_change(change, upper, parent.get(), writer));
  }
  return writer.finish();
}

}  // namespace slipway::layer
