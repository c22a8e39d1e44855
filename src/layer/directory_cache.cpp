#include "layer/directory_cache.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::layer {

DirectoryCache::Slot* DirectoryCache::find(const std::string& path) {
  for (auto& slot : slots_) {
    if (!slot.reachable || slot.path != path) continue;
    slot.used = ++clock_;
    return &slot;
  }
  return nullptr;
}

Result<DirectoryCache::Slot*> DirectoryCache::insert(const std::string& path, sys::Fd fd) {
  const struct stat info = TRY(sys::stat_fd(fd.get(), path));
  timespec mtime = info.st_mtim;
  for (const auto& slot : slots_)
    if (slot.ino == info.st_ino && slot.dev == info.st_dev && slot.fd) mtime = slot.mtime;
  Slot* slot = nullptr;
  if (slots_.size() < kSlots) {
    slot = &slots_.emplace_back();
  } else {
    slot =
        &*std::min_element(slots_.begin(), slots_.end(), [](const Slot& a, const Slot& b) { return a.used < b.used; });
    TRY(let_go(*slot));
  }
  slot->fd = std::move(fd);
  slot->dev = info.st_dev;
  slot->ino = info.st_ino;
  slot->mtime = mtime;
  slot->dirty = false;
  slot->path = path;
  slot->reachable = true;
  slot->used = ++clock_;
  return slot;
}

void DirectoryCache::set_mtime(const Slot& slot, timespec mtime) {
  for (auto& other : slots_) {
    if (other.ino == slot.ino && other.dev == slot.dev) other.mtime = mtime;
  }
}

void DirectoryCache::forget_paths() {
  for (auto& slot : slots_) slot.reachable = false;
}

Status DirectoryCache::flush() {
  for (auto& slot : slots_) TRY(let_go(slot));
  slots_.clear();
  return {};
}

Status DirectoryCache::let_go(Slot& slot) {
  if (slot.dirty && slot.fd) {
    const timespec times[2] = {slot.mtime, slot.mtime};
    // EPERM: somebody else's directory that we may write to; its mtime is theirs.
    if (::futimens(slot.fd.get(), times) < 0 && errno != EPERM)
      return fail_errno("cannot set the time of {}", quoted(slot.path));
  }
  slot.fd.reset();
  return {};
}

}  // namespace slipway::layer
