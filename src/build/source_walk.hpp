// SourceWalk: what a COPY takes of one source directory. The key of a step and the copy itself walk the same way, so
// what --exclude and --parents leave out is in neither.
//
// Rules of BuildKit (fsutil's copy): patterns are relative to the source's root, which itself is never judged; a
// pattern that matches a directory holds for all below it; a directory that is left out appears again, with what it has
// of its own, when something below it is taken; links are entries, never followed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "build/tree.hpp"
#include "dockerfile/ignore.hpp"

namespace slipway::build {

/// The part of a --parents source behind its root: "a/*.txt", "**/go.mod". Wildcards as in ignore files.
class Include {
 public:
  /// `pattern` is cleaned as a path below the root. Error: `syntax error in pattern`.
  static Result<Include> parse(const std::string& pattern);
  /// Whether it names everything: ".", "/" or nothing.
  [[nodiscard]] bool all() const { return parts_.empty(); }
  /// Whether it names one path: then that has to be there.
  [[nodiscard]] bool plain() const { return plain_; }
  [[nodiscard]] const std::string& text() const { return text_; }

  using Verdict = dockerfile::Verdict;
  [[nodiscard]] Verdict judge(const Verdict& parent, const std::string& path) const {
    return matcher_.judge(parent, path);
  }
  [[nodiscard]] bool takes(const Verdict& verdict) const { return matcher_.excluded(verdict); }
  /// Whether something below `name`, a directory `depth` components below the root, may match.
  [[nodiscard]] bool reaches_below(std::size_t depth, const std::string& name) const;
  /// The one name that can match or lead on below a directory of that depth, if the pattern says so.
  [[nodiscard]] const std::string* only_name(std::size_t depth) const;

 private:
  explicit Include(dockerfile::Matcher matcher) : matcher_(std::move(matcher)) {}
  std::string text_;
  std::vector<std::string> parts_;
  std::size_t open_from_ = 0;  ///< the first part with "**": from here on depth says nothing
  bool plain_ = false;
  dockerfile::Matcher matcher_;
};

/// What of a source is taken. Default: everything.
struct Selection {
  std::shared_ptr<const dockerfile::Matcher> excludes;  ///< --exclude
  std::shared_ptr<const Include> include;               ///< --parents
};

/// One source of a COPY, found in its tree.
struct CopySource {
  CopySource(std::string where, Selection what = {})  // NOLINT(google-explicit-constructor): most take everything
      : path(std::move(where)), selection(std::move(what)) {}
  std::string path;  ///< as Tree::glob gave it; a link at its end is followed
  Selection selection;
};

class SourceWalk {
 public:
  enum class Kind : unsigned char {
    kEntry,      ///< anything but a directory
    kDirectory,  ///< what comes next lies in it, until its kUp
    kUp,
  };
  struct Step {
    Kind kind = Kind::kUp;
    std::string name;
    std::string path;  ///< relative to the root
    Tree::Found found;
    const layer::MergedDir* parent = nullptr;    ///< holds `name`; valid until the next call
    const Tree::Directory* directory = nullptr;  ///< kDirectory: itself; likewise
    bool selected = true;  ///< false: a directory that is here for what is in it; an existing one stays as it is
  };

  /// `tree` and what `selection` points at must outlive the walk.
  static Result<SourceWalk> open(const Tree& tree, const Tree::Directory& root, const Selection& selection);
  /// The next step, parents before children, children sorted bytewise; false at the end (the root has no steps).
  [[nodiscard]] Result<bool> next(Step& step);

 private:
  using Verdict = dockerfile::Verdict;
  struct Frame {
    Tree::Directory directory;
    std::string name, path;
    Tree::Found found;
    std::vector<layer::MergedDir::Child> children;
    std::size_t next = 0;
    bool selected = true;
    Verdict excluded, included;
  };
  struct Judged {
    bool taken = true;
    bool may_lead = true;  ///< of a directory that is not taken: something below may be
    Verdict excluded, included;
  };
  SourceWalk(const Tree& tree, const Selection& selection) : tree_(tree), selection_(selection) {}
  [[nodiscard]] Judged judge(const Frame& frame, const layer::MergedDir::Child& child, const std::string& path) const;
  /// `taken`: the directory lies in what the pattern of --parents matches.
  [[nodiscard]] Result<std::vector<layer::MergedDir::Child>> children_of(const Tree::Directory& directory,
                                                                         std::size_t depth, bool taken) const;
  [[nodiscard]] Status look_at(layer::MergedDir::Child child);
  void announce_directory(Step& step);
  void announce_entry(Step& step);
  [[nodiscard]] std::size_t depth() const { return stack_.size() - 1; }  ///< of the frame on top

  const Tree& tree_;
  const Selection& selection_;
  std::vector<Frame> stack_;
  std::size_t announced_ = 1;  ///< frames the caller knows of; the root is the first
  std::size_t wanted_ = 1;     ///< frames that hold something taken
  struct Held {
    layer::MergedDir::Child child;
    std::string path;
  };
  std::optional<Held> held_;  ///< an entry that waits for the steps of its directories
};

}  // namespace slipway::build
