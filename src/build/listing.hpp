// Listing: the files that a content digest stands for, in few bytes: enough to name the one that is not as before.
//
// Paths are written as what they do not share with the one before; sums are cut to 8 bytes: who forges one hides a
// change from `slipway why`, from no key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "build/packed.hpp"

namespace slipway::build {

/// Beyond these nothing is kept of a content: a change in it is told without a name.
inline constexpr std::size_t kListedFiles = 50'000;
inline constexpr std::size_t kListingBytes = 2 << 20;
inline constexpr std::size_t kListedPathBytes = 8 << 20;  ///< of all paths, unpacked

struct ListedFile {
  std::string path;
  std::uint32_t mode = 0;  ///< with the type
  std::uint32_t uid = 0, gid = 0;
  std::string sum;  ///< 8 bytes
};

class ListingWriter {
 public:
  static constexpr std::size_t kSumBytes = 8;
  /// `told`: everything of the file that path, mode and owner do not say.
  void add(std::string_view path, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid, std::string_view told);
  /// The packed listing; empty when there is too much.
  [[nodiscard]] std::string take();

 private:
  Packer out_;
  ListedFile last_;
  std::size_t count_ = 0, path_bytes_ = 0;
  bool full_ = false;
};

/// Sorted by path. kDataLoss for anything that ListingWriter did not write.
[[nodiscard]] Result<std::vector<ListedFile>> read_listing(std::string_view packed);

struct FileChange {
  enum class Kind : unsigned char { kContent, kAdded, kRemoved, kMode, kOwner, kType };
  Kind kind = Kind::kContent;
  std::string path;
  bool directory = false;
  std::size_t others = 0;  ///< further files that differ
};
/// The first difference by path, files before directories; nothing when there is none.
[[nodiscard]] std::optional<FileChange> first_change(const std::vector<ListedFile>& before,
                                                     const std::vector<ListedFile>& now);

}  // namespace slipway::build
