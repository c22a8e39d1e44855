#include "build/cache_mounts.hpp"

#include <sys/stat.h>

#include "base/text.hpp"
#include "build/copy.hpp"
#include "build/tree.hpp"
#include "build/tree_sum.hpp"
#include "layer/owner.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr std::size_t kMaxLayers = 16;  // then they become one again: overlay looks through all of them

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

Status dress(int fd, std::uint32_t uid, std::uint32_t gid, mode_t mode) {
  TRY(layer::give(fd, uid, gid, "a cache mount"));
  if (::fchmod(fd, mode) < 0) return fail_errno("cannot set the mode of a cache mount");
  return {};
}

/// Makes `to` the same directory as `from`, but for what is in it.
Status copy_attributes(const layer::MergedDir& from, int to) {
  struct stat info = TRY(sys::stat_fd(from.top(), "a directory of a cache"));
  TRY(layer::recall_owner(from.top(), info, "a directory of a cache"));
  TRY(dress(to, info.st_uid, info.st_gid, info.st_mode & 07777));
  for (const auto& key : TRY(sys::list_xattrs(from.top(), "a directory of a cache"))) {
    if (!keeps_xattr(key, true)) continue;
    if (const auto value = TRY(sys::get_xattr(from.top(), key, "a directory of a cache")))
      TRY(sys::set_xattr(to, key, *value, "a directory of a cache"));
  }
  const timespec times[2] = {info.st_mtim, info.st_mtim};
  if (::futimens(to, times) < 0) return fail_errno("cannot set the times of a directory of a cache");
  return {};
}

/// All that `layers` show together as one tree; files are further names of those in the layers, which nobody changes
/// any more.
Status merge_into(const std::vector<std::string>& layers, const std::string& root, const Cancel& cancel) {
  struct Frame {
    layer::MergedDir from;
    sys::Fd to;
    std::vector<layer::MergedDir::Child> children;
    std::size_t next = 0;
  };
  std::vector<Frame> stack;
  const auto enter = [&](layer::MergedDir from, sys::Fd to) -> Status {
    auto children = TRY(from.list());
    stack.push_back({std::move(from), std::move(to), std::move(children)});
    return {};
  };
  TRY(enter(TRY(layer::MergedDir::open_paths(layers)), TRY(sys::open(root, kDirectory))));
  while (!stack.empty()) {
    TRY(cancel.check());
    Frame& frame = stack.back();
    if (frame.next == frame.children.size()) {
      TRY(copy_attributes(frame.from, frame.to.get()));
      stack.pop_back();
      continue;
    }
    const layer::MergedDir::Child& child = frame.children[frame.next++];
    if (!S_ISDIR(child.found.info.st_mode)) {
      TRY(frame.from.link_child(child.name, child.found, frame.to.get()));
      continue;
    }
    if (::mkdirat(frame.to.get(), child.name.c_str(), 0700) < 0)
      return fail_errno("cannot make the directory {}", quoted(child.name));
    sys::Fd to = TRY(sys::open_at(frame.to.get(), child.name, kDirectory));
    TRY(enter(TRY(frame.from.enter(child.name)), std::move(to)));
  }
  return {};
}

}  // namespace

oci::Digest cache_key(std::string_view scope, std::string_view name_space, std::string_view id) {
  oci::Hasher hash;
  hash.update(fmt::format("cache mount {} {} {}:", scope.size(), name_space.size(), id.size()));
  for (const auto part : {scope, name_space, id}) hash.update(part);
  return hash.finish();
}

Status CacheMounts::lock(const std::set<oci::Digest>& keys, const Cancel& cancel) {
  for (const auto& key : keys) locks_.push_back(TRY(shop_.store.lock_key(key, cancel)));
  return {};
}

Status CacheMounts::add(const CacheMount& mount, const Stack* initial, progress::VertexId vertex, sandbox::Spec& spec,
                        const Cancel& cancel) {
  auto layers = TRY(shop_.store.acquire_cache(shop_.lease, mount.key));
  if (layers.empty()) layers = {TRY(begin(mount, initial, vertex, cancel))};
  sandbox::TreeMount tree;
  tree.lowers = layers;
  tree.source = "/";
  tree.target = mount.target;
  if (!mount.read_only) {
    store::SnapshotDraft draft = TRY(shop_.store.draft_snapshot(shop_.lease));
    const sys::Fd root = TRY(sys::open(draft.fs(), kDirectory));
    TRY(copy_attributes(TRY(layer::MergedDir::open_paths(layers)), root.get()));
    tree.keep_writes = draft.directory();
    in_use_.push_back({mount.key, std::move(layers), std::move(draft)});
  }
  spec.trees.push_back(std::move(tree));
  return {};
}

Result<std::string> CacheMounts::begin(const CacheMount& mount, const Stack* initial, progress::VertexId vertex,
                                       const Cancel& cancel) {
  store::SnapshotDraft draft = TRY(shop_.store.draft_snapshot(shop_.lease));
  if (initial != nullptr) {
    const auto lowers = TRY(initial->lowers(shop_, vertex, cancel));
    Destination destination = TRY(Destination::open(draft.fs(), {}));
    if (!lowers.empty()) {
      CopyOptions options;
      options.from_stage = true;
      TRY(destination.copy(Tree(TRY(layer::MergedDir::open_paths(lowers)), std::nullopt), {mount.source}, "/", options,
                           cancel));
    }
  }
  const sys::Fd root = TRY(sys::open(draft.fs(), kDirectory));
  TRY(dress(root.get(), mount.uid, mount.gid, mount.mode));
  TRY(draft.extend_cache(mount.key));
  return draft.fs();
}

Status CacheMounts::keep(const Cancel& cancel) {
  for (auto& use : in_use_) {
    const sys::Fd written = TRY(sys::open(use.draft.fs(), kDirectory));
    if (TRY(sys::list_directory(written.get(), use.draft.fs())).empty()) continue;
    TRY(use.draft.extend_cache(use.key));
    use.layers.insert(use.layers.begin(), use.draft.fs());
    if (use.layers.size() > kMaxLayers) TRY(flatten(use, cancel));
  }
  in_use_.clear();
  locks_.clear();
  return {};
}

Status CacheMounts::flatten(const InUse& use, const Cancel& cancel) {
  store::SnapshotDraft draft = TRY(shop_.store.draft_snapshot(shop_.lease));
  const Status merged = merge_into(use.layers, draft.fs(), cancel);
  if (!merged && merged.error().sys_errno() == EMLINK) return {};  // it stays in layers
  TRY(merged);
  return draft.replace_cache(use.key, use.layers.size());
}

}  // namespace slipway::build
