#include "build/buildkit_sums.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "buildcache/keys.hpp"
#include "dockerfile/go_match.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

using buildcache::FileHead;
using buildcache::ListSum;

char tar_type(mode_t mode) {
  if (S_ISDIR(mode)) return '5';
  if (S_ISLNK(mode)) return '2';
  if (S_ISCHR(mode)) return '3';
  if (S_ISBLK(mode)) return '4';
  if (S_ISFIFO(mode)) return '6';
  return '0';
}

/// A path as it is hashed below another: "\0name" for "/name".
std::string piece(std::string_view name) { return std::string(1, '\0').append(name); }

class Summer {
 public:
  Summer(const Tree& tree, TreeOf of, const KnownSums& known, const Cancel& cancel)
      : tree_(tree), of_(of), known_(known), cancel_(cancel) {}

  /// One path without wildcards, links at its end followed.
  Result<std::optional<oci::Digest>> path(const std::string& text) {
    const Tree::Resolved at = TRY(tree_.resolve(text, FollowLast::kYes));
    if (at.path.empty()) {
      // The root of a context has no attributes of its own there.
      if (of_ == TreeOf::kStage) return std::nullopt;
      return TRY(directory(tree_.root(), oci::Digest::of("")));
    }
    if (!at.found || !at.parent) return std::nullopt;
    if (!S_ISDIR(at.found->info.st_mode)) return TRY(entry(at.parent->dir, at.name(), *at.found));
    const oci::Digest head = TRY(entry(at.parent->dir, at.name(), *at.found));
    return TRY(directory(TRY(tree_.open_directory(at)), head));
  }

  /// All that a pattern matches: each file and the head of each directory, by path.
  Result<std::optional<oci::Digest>> pattern(const std::string& text) {
    auto matches = TRY(tree_.glob(text));
    const std::string prefix = plain_part(text);
    std::vector<std::pair<std::string, oci::Digest>> listed;
    for (const auto& match : matches) TRY(list(match, prefix, listed));
    if (listed.empty()) return oci::Digest::of("");
    std::ranges::sort(listed, {}, [](const auto& item) { return item.first; });
    ListSum sum;
    for (const auto& [path, digest] : listed) sum.add(path, digest);
    return sum.finish();
  }

 private:
  /// The directories of a pattern before its first wildcard: "/a/b" of "/a/b/*.txt".
  static std::string plain_part(const std::string& pattern) {
    std::string plain;
    for (const auto part : split(pattern, '/')) {
      if (part.empty()) continue;
      if (dockerfile::has_wildcard(part)) break;
      plain.append("/").append(part);
    }
    return plain;
  }

  static std::string below(const std::string& path, const std::string& prefix) {
    std::string rest = ("/" + path).substr(prefix.size());
    std::ranges::replace(rest, '/', '\0');
    return rest;
  }

  Status list(const std::string& match, const std::string& prefix,
              std::vector<std::pair<std::string, oci::Digest>>& listed) {
    const Tree::Resolved at = TRY(tree_.resolve(match, FollowLast::kNo));
    if (!at.found || !at.parent) return {};
    if (S_ISLNK(at.found->info.st_mode)) {
      if (const auto target = TRY(path(match))) listed.emplace_back(below(match, prefix), *target);
      return {};
    }
    listed.emplace_back(below(match, prefix), TRY(entry(at.parent->dir, at.name(), *at.found)));
    if (!S_ISDIR(at.found->info.st_mode)) return {};
    std::vector<Tree::Directory> open;
    open.push_back(TRY(tree_.open_directory(at)));
    while (!open.empty()) {
      const Tree::Directory directory = std::move(open.back());
      open.pop_back();
      for (const auto& child : TRY(tree_.list(directory))) {
        const std::string path = join_path(directory.path, child.name);
        listed.emplace_back(below(path, prefix), TRY(entry(directory.dir, child.name, child.found)));
        if (!S_ISDIR(child.found.info.st_mode)) continue;
        auto inner = TRY(directory.dir.enter(child.name));
        open.push_back({std::move(inner), path});
      }
    }
    return {};
  }

  /// A directory with all below: a stack of its own, as trees may be deep.
  Result<oci::Digest> directory(Tree::Directory top, const oci::Digest& head) {
    struct Frame {
      Tree::Directory directory;
      std::vector<layer::MergedDir::Child> children;
      std::size_t next = 0;
      ListSum sum;
    };
    std::vector<Frame> stack;
    const auto push = [&](Tree::Directory directory, const oci::Digest& own) -> Status {
      auto children = TRY(tree_.list(directory));
      stack.push_back({std::move(directory), std::move(children), 0, {}});
      stack.back().sum.add(piece(""), own);
      return {};
    };
    TRY(push(std::move(top), head));
    while (true) {
      Frame& frame = stack.back();
      if (frame.next == frame.children.size()) {
        const oci::Digest done = frame.sum.finish();
        stack.pop_back();
        if (stack.empty()) return done;
        Frame& parent = stack.back();
        parent.sum.add(piece(parent.children[parent.next++].name), done);
        continue;
      }
      const auto& child = frame.children[frame.next];
      const oci::Digest own = TRY(entry(frame.directory.dir, child.name, child.found));
      if (S_ISDIR(child.found.info.st_mode)) {
        auto inner = TRY(frame.directory.dir.enter(child.name));
        std::string path = join_path(frame.directory.path, child.name);
        TRY(push({std::move(inner), std::move(path)}, own));
      } else {
        frame.sum.add(piece(child.name), own);
        ++frame.next;
      }
    }
  }

  /// A file with its bytes, or what a directory is without what is in it.
  Result<oci::Digest> entry(const layer::MergedDir& dir, const std::string& name, const Tree::Found& found) {
    TRY(cancel_.check());
    const struct stat& info = found.info;
    FileHead head{.type = tar_type(info.st_mode), .mode = info.st_mode & 07777u, .link = {}, .xattrs = {}};
    if (of_ == TreeOf::kStage) {
      head.uid = info.st_uid;
      head.gid = info.st_gid;
    }
    if (S_ISLNK(info.st_mode)) {
      head.mode = 0777;
      head.link = TRY(dir.read_link(name, found));
    }
    if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      head.major = major(info.st_rdev);
      head.minor = minor(info.st_rdev);
    }
    oci::Hasher hasher;
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return oci::Digest::of(head.text());
    const sys::Fd fd = TRY(dir.open_child(name, found));
    for (const auto& key : TRY(sys::list_xattrs(fd.get(), name))) {
      if (!buildcache::counts_in_sum(key) || key.starts_with("user.overlay.") || key.starts_with("trusted.overlay.") ||
          key.starts_with("user.slipway."))
        continue;
      head.xattrs.emplace_back(key, TRY(sys::get_xattr(fd.get(), key, name)).value_or(""));
    }
    std::ranges::sort(head.xattrs);
    if (S_ISDIR(info.st_mode)) return oci::Digest::of(head.text());
    head.size = info.st_size;
    std::optional<oci::Digest> sum;
    if (known_.store != nullptr && known_.sums != nullptr && info.st_size >= kLarge) sum = known_.sums->known(info);
    const std::string key = sum ? oci::Digest::of(head.text() + sum->text()).hex() : std::string();
    if (sum) {
      if (const auto text = TRY(known_.store->recall(kMemory, key)))
        if (const auto digest = oci::Digest::parse(*text)) return *digest;
    }
    hasher.update(head.text());
    while (const std::size_t got = TRY(sys::read_some(fd.get(), buffer_.data(), buffer_.size()))) {
      TRY(cancel_.check());
      hasher.update({buffer_.data(), got});
    }
    const oci::Digest digest = hasher.finish();
    const bool same = FileIdentity::of(TRY(sys::stat_fd(fd.get(), name))) == FileIdentity::of(info);
    if (sum && same) TRY(known_.store->remember(kMemory, key, digest.text()));
    return digest;
  }

  static constexpr std::int64_t kLarge = 256 * 1024;
  static constexpr std::string_view kMemory = "buildkit file";
  const Tree& tree_;
  const TreeOf of_;
  const KnownSums& known_;
  const Cancel& cancel_;
  std::string buffer_ = std::string(128 * 1024, '\0');
};

/// Paths that lie in others are seen with them.
std::vector<std::string> outermost(const std::set<std::string>& paths) {
  std::vector<std::string> out;
  for (const auto& path : paths) {
    const bool inside = std::ranges::any_of(paths, [&](const std::string& other) {
      return other != path && path.starts_with(other.ends_with('/') ? other : other + "/");
    });
    if (!inside) out.push_back(path);
  }
  return out;
}

}  // namespace

Result<std::optional<oci::Digest>> buildkit_content(const Tree& tree, TreeOf of, const std::vector<std::string>& paths,
                                                    const KnownSums& known, const Cancel& cancel) {
  std::set<std::string> plain;
  std::vector<std::string> selected;
  for (const auto& path : paths)
    (dockerfile::has_wildcard(path) ? (void)selected.push_back(path) : (void)plain.insert(path));
  for (const auto& path : outermost(plain)) selected.push_back(path);
  std::ranges::sort(selected);
  Summer summer(tree, of, known, cancel);
  std::vector<oci::Digest> sums;
  for (const auto& path : selected) {
    const auto sum = TRY(dockerfile::has_wildcard(path) ? summer.pattern(path) : summer.path(path));
    if (!sum) return std::nullopt;
    sums.push_back(*sum);
  }
  return buildcache::content_of(sums);
}

}  // namespace slipway::build
