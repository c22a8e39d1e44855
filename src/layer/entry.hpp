// Entry: what an archive's member or a tree's file says of itself. A plain value: any content is legal here; TarReader
// and Extractor judge it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace slipway::layer {

enum class EntryType : unsigned char { kFile, kDirectory, kSymlink, kHardLink, kCharDevice, kBlockDevice, kFifo };

/// Names and values, sorted by name, each name once.
using Xattrs = std::vector<std::pair<std::string, std::string>>;

struct Entry {
  EntryType type = EntryType::kFile;
  std::string path;        ///< bytes, not necessarily UTF-8; from an archive: as it stands there ("./a//b/", "../x")
  std::uint32_t mode = 0;  ///< permission, set-id and sticky bits (07777)
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  Timestamp mtime;
  std::int64_t size = 0;    ///< bytes of a file's content with its holes; 0 for everything else
  std::string link_target;  ///< of a symlink verbatim; of a hard link the path of another member
  std::uint32_t dev_major = 0;
  std::uint32_t dev_minor = 0;
  Xattrs xattrs;
  friend bool operator==(const Entry&, const Entry&) = default;
};

}  // namespace slipway::layer
