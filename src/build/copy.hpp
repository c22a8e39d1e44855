// Copy: puts files of a tree into a stage's file system without a mount. COPY, ADD of local files and WORKDIR write
// through it.
//
// The destination is the fresh layer's own tree (`upper`) over the stage's snapshots (`lowers`): names are looked up as
// overlay would show them, and what has to exist for a new entry (its parent directories) is copied up with its
// metadata. Nothing is ever written through a link: the destination's path is resolved inside the root first, entries
// replace what bears their name. Rules measured on BuildKit: spec/dockerfile section 4.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "build/account.hpp"
#include "build/archive.hpp"
#include "build/chmod.hpp"
#include "build/file_sums.hpp"
#include "build/source_walk.hpp"
#include "build/tree.hpp"

namespace slipway::build {

/// A file whose bytes stand in the Dockerfile (heredoc).
struct InlineFile {
  std::string name, content;
  friend bool operator==(const InlineFile&, const InlineFile&) = default;
};

struct CopyOptions {
  std::optional<Owner> owner;      ///< --chown; else the source's in stages, 0:0 from contexts
  std::optional<ModeChange> mode;  ///< --chmod
  bool from_stage = false;
  FileSums* sums = nullptr;  ///< a context's
  bool* changed = nullptr;   ///< set when a file is not what its sum was made of any more: it is taken as it is now
  timespec created{};        ///< mtime of inline files
};

class Destination {
 public:
  /// `upper` must be empty or made by this class; its root takes the metadata of the lowers' root.
  static Result<Destination> open(const std::string& upper, const std::vector<std::string>& lowers);

  /// The merged file system, as it is now.
  [[nodiscard]] Result<Tree> view() const;

  /// Copies `sources` to `target` ("/dir/" or "/name", absolute), one after the other.
  [[nodiscard]] Status copy(const Tree& tree, const std::vector<CopySource>& sources, const std::string& target,
                            const CopyOptions& options, const Cancel& cancel);
  [[nodiscard]] Status copy_inline(const std::vector<InlineFile>& files, const std::string& target,
                                   const CopyOptions& options);

  /// The entries of an unpacked archive move below `target`, which is made a directory. Whatever bears their name makes
  /// way; only directories stay directories, with the archive's metadata where it names them. A directory that it does
  /// not name may be a link here: then it leads on, inside the root. New directories above belong to `options.owner`.
  [[nodiscard]] Status take_in(const Archive& archive, const std::string& target, const CopyOptions& options,
                               const Cancel& cancel);

  /// mkdir -p; links are followed inside the root. New directories are 0755 and belong to `owner`.
  [[nodiscard]] Status make_directory(const std::string& target, const Owner& owner);

 private:
  struct Dir {
    sys::Fd fd;                             ///< in upper
    std::optional<layer::MergedDir> lower;  ///< the same directory of the lowers, if they have it
    std::string path;
  };
  Destination(sys::Fd root, std::vector<std::string> lowers) : root_(std::move(root)), lowers_(std::move(lowers)) {}

  [[nodiscard]] Result<Dir> top() const;
  [[nodiscard]] Result<Dir> enter(const Dir& parent, const std::string& name, const Owner& owner, bool* fresh) const;
  [[nodiscard]] Result<Dir> ensure(const std::string& path, const Owner& owner, bool* fresh) const;
  [[nodiscard]] Result<std::optional<struct stat>> existing(const Dir& dir, const std::string& name) const;
  /// Calls `make` (a system call that makes `name` and fails with EEXIST); a file that stands there makes way, a
  /// directory does not. Fails with make's errno.
  template <class Make>
  [[nodiscard]] Status put(const Dir& dir, const std::string& name, Make make);
  [[nodiscard]] Status copy_contents(const Tree& tree, const Tree::Directory& from, const Selection& selection, Dir to,
                                     const CopyOptions& options, const Cancel& cancel);
  [[nodiscard]] Status copy_entry(const layer::MergedDir& from, const std::string& from_name, const Tree::Found& found,
                                  const Dir& into, const std::string& name, const CopyOptions& options,
                                  const Cancel& cancel);
  /// Empty, open for writing; the mode as far as the umask lets it.
  [[nodiscard]] Result<sys::Fd> make_file(const Dir& into, const std::string& name, mode_t mode);
  [[nodiscard]] Status copy_file(const layer::MergedDir& from, const std::string& from_name, const Tree::Found& found,
                                 const Dir& into, const std::string& name, const CopyOptions& options,
                                 const Cancel& cancel);
  struct Merging {  // a directory that an archive and this tree both have
    sys::Fd from;
    std::string path;  // in the archive
    std::vector<std::string> names;
    std::size_t next = 0;
    Dir to;
    std::optional<struct stat> metadata;  // the archive's, to be set when all is in place
  };
  [[nodiscard]] Result<Merging> merge_with(sys::Fd from, std::string path, Dir to, bool named) const;
  [[nodiscard]] Status finish(const Merging& merging) const;
  /// Moves one entry, or gives the pair of directories that go on.
  [[nodiscard]] Result<std::optional<Merging>> take_entry(const Merging& merging, const std::string& name,
                                                          const Archive& archive) const;
  [[nodiscard]] Status replace(const Merging& merging, const std::string& name, bool directory) const;
  [[nodiscard]] Result<bool> link_again(const struct stat& info, const Dir& into, const std::string& name);
  void note_link(const struct stat& info, const Dir& into, const std::string& name);

  sys::Fd root_;
  std::vector<std::string> lowers_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;  // of one copy(): source file → path in upper
};

}  // namespace slipway::build
