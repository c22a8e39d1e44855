// .dockerignore: which paths of the context a build does not see (spec section 7); also the patterns of COPY --exclude.
//
//   Matcher ignore = TRY(Matcher::parse(text));
//   ignore.excluded("node_modules/left-pad/index.js");   // stateless: one question
//
// A walk hands down what it knows, so that each path costs a few look-ups, whatever the number of lines:
//
//   Verdict top = ignore.root();
//   Verdict dir = ignore.judge(top, "node_modules");      // the parent's verdict and the whole path
//   if (ignore.excluded(dir) && ignore.can_prune(dir, "node_modules")) …   // no later `!` line reaches below
//
// A line matches a path when it matches the path itself or one of its parents; the last matching line decides. Paths
// are relative, clean (go_clean) and use `/`.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/glob.hpp"

namespace slipway::dockerfile {

inline constexpr std::size_t kIgnoreLimit = 8 << 20;  ///< bytes of an ignore file

/// What the lines say of one path. Cheap to copy; only meaningful with the Matcher that gave it.
struct Verdict {
  int line = -1;           ///< number of the last pattern that matches, -1: none
  std::uint32_t node = 0;  // deepest literal directory of the patterns that the path lies in
  bool on_node = true;     // the path is that directory
};

class Matcher {
 public:
  /// The text of an ignore file. Errors: `syntax error in pattern`, `illegal exclusion pattern: "!"` (kInvalidArgument,
  /// with range and excerpt), kOutOfRange beyond kIgnoreLimit.
  static Result<Matcher> parse(std::string_view text, std::string_view file_name = ".dockerignore");
  /// Patterns already taken out of a file or of --exclude flags, in order. Same errors without range.
  static Result<Matcher> from_patterns(const std::vector<std::string>& patterns);

  Matcher(Matcher&&) = default;
  Matcher& operator=(Matcher&&) = default;
  Matcher(const Matcher&) = delete;  // names point into names_
  Matcher& operator=(const Matcher&) = delete;

  [[nodiscard]] bool empty() const { return negated_.empty(); }  ///< no pattern at all
  [[nodiscard]] bool excluded(std::string_view path) const;

  [[nodiscard]] static Verdict root() { return {}; }
  [[nodiscard]] Verdict judge(const Verdict& parent, std::string_view path) const;
  [[nodiscard]] bool excluded(const Verdict& verdict) const;
  /// Whether nothing below the excluded directory `path` can be included again. `verdict` is that of `path`.
  [[nodiscard]] bool can_prune(const Verdict& verdict, std::string_view path) const;

 private:
  // Patterns are numbered in order. What is literal at their front is a path in a tree of directories.
  struct Node {
    std::uint32_t parent = 0;
    std::uint32_t path_size = 0;  // bytes of its path with a slash behind, 0 for the root
    std::string_view name;
    int exact = -1;          // last pattern that is this path
    int below = -1;          // last pattern that is `path/**`
    int negated_below = -1;  // last `!` pattern that may match something below
    std::int32_t wild = -1;  // index in wild_ of the last one that starts here
  };
  // A pattern that goes on with wildcards below a node; those of one node are chained, last first.
  struct Wild {
    int line = 0;
    int depth = 0;  // number of path components that it matches; 0: any
    std::int32_t next = -1;
    Glob glob;
  };

  // Patterns for one path component that are found by the component: `name` and `*suffix`.
  struct NameIndex {
    std::unordered_map<std::string_view, int> names, suffixes;
    std::vector<std::size_t> suffix_sizes;  // those present, ascending

    void add_suffix(std::string_view suffix, int line);
    // The last pattern that `name` matches, or `best` when that is later.
    [[nodiscard]] int last(std::string_view name, int best) const;
  };

  Matcher();
  Status add(std::string_view pattern);
  void add_literal(std::u32string_view path, int line);
  void add_glob(const Glob& glob, int line);
  bool add_by_name(const Glob& rest, int line);
  std::uint32_t make_node(std::u32string_view directory);
  [[nodiscard]] std::uint32_t find_child(std::uint32_t parent, std::string_view name) const;
  void note_negation(std::uint32_t node, int line);
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t parent, std::string_view name) const;
  void grow();
  [[nodiscard]] int last_wild(std::uint32_t node, std::string_view path, int best) const;

  std::vector<bool> negated_;
  std::deque<std::string> names_;  // where nodes and maps point; elements never move
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> table_;  // open addressing: node by (parent, name), 0 empty
  std::vector<Wild> wild_;
  NameIndex anywhere_;  // `**/name` and `**/*suffix`
  NameIndex top_;       // `*suffix`
  int negated_anywhere_ = -1;
};

}  // namespace slipway::dockerfile
