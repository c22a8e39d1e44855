// MemberWriter: files of trees as members of a tar stream that is hashed on its way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "layer/hashed_target.hpp"
#include "layer/layer.hpp"
#include "layer/tar_writer.hpp"
#include "layer/tree_file.hpp"

namespace slipway::layer {

class MemberWriter {
 public:
  MemberWriter(const Target& target, std::optional<std::int64_t> clamp_mtime, const Cancel& cancel)
      : output_(target),
        tar_([this](std::string_view bytes) { return output_.write(bytes); }),
        clamp_mtime_(clamp_mtime),
        cancel_(cancel) {}

  /// The first of several names of one inode holds the content, the others are hard links to it. `layer` tells apart
  /// inodes of several trees.
  [[nodiscard]] Status add(TreeFile file, int layer);
  /// An empty member: a whiteout or an opaque marker. Its mtime is the epoch, so that equal changes give equal bytes.
  [[nodiscard]] Status add_marker(const std::string& path);
  /// A directory that no tree has: 0755, its mtime the epoch.
  [[nodiscard]] Status add_directory(const std::string& path);
  [[nodiscard]] Result<Written> finish();

 private:
  struct Inode {
    int layer;
    dev_t dev;
    ino_t ino;
    friend auto operator<=>(const Inode&, const Inode&) = default;
  };
  [[nodiscard]] Status copy_content(const TreeFile& file);

  HashedTarget output_;
  TarWriter tar_;
  std::optional<std::int64_t> clamp_mtime_;
  const Cancel& cancel_;
  std::map<Inode, std::string> first_names_;  ///< only of files with more than one name
  std::int64_t entries_ = 0;
  std::int64_t tree_bytes_ = 0;
  std::string buffer_;
};

}  // namespace slipway::layer
