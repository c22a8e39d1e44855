#include "build/tree_sum.hpp"

#include <map>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

/// Fields with their lengths in front: no two lists of fields have the same bytes.
class FieldHash {
 public:
  void field(std::string_view bytes) {
    const std::uint64_t length = bytes.size();
    hash_.update({reinterpret_cast<const char*>(&length), sizeof length});
    hash_.update(bytes);
  }
  void number(std::uint64_t value) { hash_.update({reinterpret_cast<const char*>(&value), sizeof value}); }
  [[nodiscard]] oci::Digest finish() { return hash_.finish(); }

 private:
  oci::Hasher hash_;
};

class Summer {
 public:
  Summer(const Tree& tree, const SumOptions& options, const Cancel& cancel)
      : tree_(tree), options_(options), cancel_(cancel) {}

  Status add(const CopySource& source) {
    source_ = source.path;
    const Tree::Resolved at = TRY(tree_.resolve(source.path, FollowLast::kYes));
    if (!at.found) return {};
    const bool directory = S_ISDIR(at.found->info.st_mode);
    hash_.field(directory ? "contents" : "file");
    if (!directory) {
      // The name counts: it is what the file is called in a destination directory.
      hash_.field(source.path.substr(source.path.rfind('/') + 1));
      return entry(at.parent->dir, at.name(), *at.found, "");
    }
    return contents(TRY(tree_.open_directory(at)), source.selection);
  }
  oci::Digest finish() { return hash_.finish(); }

 private:
  Status contents(const Tree::Directory& top, const Selection& selection) {
    SourceWalk walk = TRY(SourceWalk::open(tree_, top, selection));
    SourceWalk::Step step;
    while (TRY(walk.next(step))) {
      if (step.kind == SourceWalk::Kind::kUp) {
        hash_.field("up");
        continue;
      }
      TRY(entry(*step.parent, step.name, step.found, step.path));
    }
    hash_.field("up");
    return {};
  }

  Status entry(const layer::MergedDir& dir, const std::string& name, const Tree::Found& found,
               const std::string& relative) {
    TRY(cancel_.check());
    const struct stat& info = found.info;
    if (S_ISSOCK(info.st_mode)) return {};
    told_.clear();
    hash_.field(relative);
    hash_.number(info.st_mode);
    if (options_.owner) {
      hash_.number(info.st_uid);
      hash_.number(info.st_gid);
    }
    if (S_ISLNK(info.st_mode)) tell(TRY(dir.read_link(name, found)));
    if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      hash_.number(info.st_rdev);
      if (options_.files != nullptr) told_ += std::to_string(info.st_rdev);
    }
    if (S_ISREG(info.st_mode)) {
      tell(TRY(file(dir, name, found)).raw());
      link_group(info, relative);
    }
    if (S_ISDIR(info.st_mode) && options_.sums == nullptr) TRY(directory_attributes(dir, name, found));
    if (options_.files != nullptr) list(info, relative);
    return {};
  }

  /// A field that goes into the sum of its entry as well.
  void tell(std::string_view bytes) {
    hash_.field(bytes);
    if (options_.files != nullptr) told_.append(bytes).push_back('\0');
  }

  void list(const struct stat& info, const std::string& relative) {
    const std::string top = source_ == "." ? "" : source_;
    const std::string path = relative.empty() ? top : top.empty() ? relative : join_path(top, relative);
    options_.files->add(path, info.st_mode, options_.owner ? info.st_uid : 0, options_.owner ? info.st_gid : 0, told_);
  }

  Result<oci::Digest> file(const layer::MergedDir& dir, const std::string& name, const Tree::Found& found) {
    // A remembered sum spares the open.
    if (options_.sums != nullptr)
      if (const auto known = options_.sums->known(found.info)) return *known;
    const sys::Fd fd = TRY(dir.open_child(name, found));
    const struct stat info = TRY(sys::stat_fd(fd.get(), name));
    if (!S_ISREG(info.st_mode) || info.st_ino != found.info.st_ino)
      return fail(Code::kAborted, "{} changed while it was read", quoted(name));
    if (options_.sums != nullptr) return options_.sums->sum(fd.get(), info, name, cancel_);
    TRY(attributes(fd.get(), name));
    return sum_file(fd.get(), info, name, cancel_);
  }

  // Of a stage only: what a context's files have but security.capability (part of the file's sum) is not copied.
  Status attributes(int fd, const std::string& name) {
    for (const auto& key : TRY(sys::list_xattrs(fd, name))) {
      if (!keeps_xattr(key, true)) continue;
      tell(key);
      tell(TRY(sys::get_xattr(fd, key, name)).value_or(""));
    }
    return {};
  }

  Status directory_attributes(const layer::MergedDir& dir, const std::string& name, const Tree::Found& found) {
    const sys::Fd fd = TRY(dir.open_child(name, found));
    return attributes(fd.get(), name);
  }

  // Names of one file are copied as hard links, so which names those are is part of the content.
  void link_group(const struct stat& info, const std::string& relative) {
    if (info.st_nlink < 2) return;
    const auto [first, fresh] = links_.try_emplace({info.st_dev, info.st_ino}, relative);
    if (!fresh) tell("link to " + first->second);
  }

  const Tree& tree_;
  const SumOptions& options_;
  const Cancel& cancel_;
  FieldHash hash_;
  std::string source_;  ///< the path of the source at hand
  std::string told_;    ///< what the sum of the entry at hand is made of; only for a listing
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

bool keeps_xattr(std::string_view name, bool from_stage) {
  if (name.starts_with("user.overlay.") || name.starts_with("trusted.overlay.") || name.starts_with("user.slipway."))
    return false;
  if (name == "security.capability") return true;
  return from_stage && (name.starts_with("user.") || name.starts_with("trusted."));
}

Result<oci::Digest> sum_paths(const Tree& tree, const std::vector<CopySource>& sources, const SumOptions& options,
                              const Cancel& cancel) {
  Summer summer(tree, options, cancel);
  for (const auto& source : sources) TRY(summer.add(source));
  return summer.finish();
}

}  // namespace slipway::build
