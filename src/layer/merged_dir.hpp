// MergedDir: a directory as overlay would show it, read through the layers by descriptor and without a mount.
//
//   MergedDir root = TRY(MergedDir::open(layers));          // topmost first
//   auto found = TRY(root.find("etc"));                     // lstat of one name
//   MergedDir etc = TRY(root.enter("etc"));
//   for (const auto& [name, info] : TRY(etc.list())) …      // sorted bytewise
//
// Names are single components; no symlink is ever followed here (build/tree.hpp resolves paths). A whiteout (0:0
// character device) hides a name of lower layers, a non-directory hides a lower directory, an opaque directory (xattr
// user.overlay.opaque=y) ends the merge. A plain directory of the host is one layer with `Kind::kPlain`, where none of
// this is interpreted.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace slipway::layer {

class MergedDir {
 public:
  enum class Kind : unsigned char { kSnapshots, kPlain };
  struct Found {
    struct stat info{};
    std::size_t layer = 0;  ///< index into this directory's layers
  };
  struct Child {
    std::string name;
    Found found;
  };

  /// `layers`: directories, topmost first; opened anew, so the caller's descriptors may be closed.
  static Result<MergedDir> open(const std::vector<int>& layers, Kind kind = Kind::kSnapshots);
  static Result<MergedDir> open_paths(const std::vector<std::string>& layers, Kind kind = Kind::kSnapshots);

  [[nodiscard]] Result<std::optional<Found>> find(const std::string& name) const;
  /// The merged directory of that name; kNotFound when there is none.
  [[nodiscard]] Result<MergedDir> enter(const std::string& name) const;
  /// Children sorted bytewise. What `wanted` refuses by its name costs no system call.
  [[nodiscard]] Result<std::vector<Child>> list(const std::function<bool(const std::string& name)>& wanted = {}) const;
  /// Opens a found child O_RDONLY | O_NOFOLLOW | O_NONBLOCK (regular files and directories).
  [[nodiscard]] Result<sys::Fd> open_child(const std::string& name, const Found& found) const;
  /// Another name for a child that is no directory, in `to`, on the same file system.
  [[nodiscard]] Status link_child(const std::string& name, const Found& found, int to) const;
  [[nodiscard]] Result<std::string> read_link(const std::string& name, const Found& found) const;
  /// The descriptor of this directory in its topmost layer: its own metadata and xattrs.
  [[nodiscard]] int top() const { return layers_->fds.front().get(); }

 private:
  struct Layers {
    std::vector<sys::Fd> fds;
  };
  MergedDir(std::shared_ptr<const Layers> layers, Kind kind) : layers_(std::move(layers)), kind_(kind) {}
  std::shared_ptr<const Layers> layers_;
  Kind kind_;
};

}  // namespace slipway::layer
