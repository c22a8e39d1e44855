// DirectoryCache: the directories an unpacking is in, open. Consecutive members of an archive share their parents, so a
// few descriptors save the path walk for nearly all of them. It also keeps directories' mtimes: writing into a
// directory changes its mtime, and the cache sets it back when it lets the directory go.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace slipway::layer {

class DirectoryCache {
 public:
  static constexpr std::size_t kSlots = 32;

  struct Slot {
    sys::Fd fd;
    dev_t dev = 0;
    ino_t ino = 0;
    timespec mtime{};    ///< what it shall have at the end
    bool dirty = false;  ///< something was made or removed in it

   private:
    friend class DirectoryCache;
    std::string path;
    bool reachable = false;
    std::uint64_t used = 0;
  };

  DirectoryCache() { slots_.reserve(kSlots); }

  /// Null when it is not here. A slot stays where it is until kSlots - 1 others were asked for.
  [[nodiscard]] Slot* find(const std::string& path);
  /// Takes an open directory; its present mtime is the one to keep, unless another slot of the same directory knows
  /// better.
  [[nodiscard]] Result<Slot*> insert(const std::string& path, sys::Fd fd);
  /// `slot`'s directory, by whatever paths it is known, shall end with this mtime.
  void set_mtime(const Slot& slot, timespec mtime);
  /// A name was taken away or replaced: no path is believed any more. Descriptors and mtimes stay.
  void forget_paths();
  /// Lets all go, with their mtimes.
  [[nodiscard]] Status flush();

 private:
  [[nodiscard]] static Status let_go(Slot& slot);
  std::vector<Slot> slots_;
  std::uint64_t clock_ = 0;
};

}  // namespace slipway::layer
