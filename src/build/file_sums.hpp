// File sums: the sha256 of a context's files, remembered between builds by (device, inode, size, mtime, ctime).
//
// A sum is trusted only when the file's ctime lies clearly before the moment it was hashed: a change within the clock's
// granularity would keep all five facts. Nothing here can make a build wrong by being lost, only slower.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "build/room.hpp"
#include "oci/digest.hpp"
#include "store/store.hpp"

namespace slipway::build {

/// What tells whether a file is the same as before.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  std::int64_t size = 0, mtime_ns = 0, ctime_ns = 0;
  static FileIdentity of(const struct stat& info);
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// Digest of a regular file's bytes and its security.capability (a change of either moves the ctime). kAborted when it
/// changes while it is read.
[[nodiscard]] Result<oci::Digest> sum_file(int fd, const struct stat& info, const std::string& name,
                                           const Cancel& cancel);

class FileSums {
 public:
  /// The sums remembered for the context at `directory` (a canonical path).
  static Result<std::unique_ptr<FileSums>> open(store::Store& store, const std::string& directory);

  /// The sum of an open file, remembered or fresh. Thread safe.
  [[nodiscard]] Result<oci::Digest> sum(int fd, const struct stat& info, const std::string& name, const Cancel& cancel);
  /// A remembered and trusted sum, without opening the file.
  [[nodiscard]] std::optional<oci::Digest> known(const struct stat& info) const;
  /// Whether the file is still what it was when its sum went into a key of this build.
  [[nodiscard]] bool unchanged(const struct stat& info) const;
  /// Writes back what changed.
  [[nodiscard]] Status save();

 private:
  struct Entry {
    FileIdentity identity;
    std::array<char, 32> raw{};
    bool used = false;     ///< in this build; the others are forgotten once they are many
    bool trusted = false;  ///< may be written back
  };
  FileSums(store::Store& store, std::string key) : store_(store), room_(store.root()), key_(std::move(key)) {}
  store::Store& store_;
  Room room_;
  std::string key_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::uint64_t, Entry> entries_;  // by inode
  bool changed_ = false;
};

}  // namespace slipway::build
