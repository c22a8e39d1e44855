// Glob: path patterns compiled once and matched without backtracking: Go's filepath.Match, and with `**` those of
// ignore files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace slipway::dockerfile {

class Glob {
 public:
  enum class Dialect : unsigned char {
    kPath,    ///< filepath.Match: `*` and `?` stop at `/`, classes do not
    kIgnore,  ///< also `**`; classes stop at `/` too
  };
  enum class Kind : unsigned char {
    kRune,        ///< this character
    kAny,         ///< one character but `/`
    kRun,         ///< any number of characters but `/`
    kClass,       ///< one of a class
    kTree,        ///< entry of `**/`: nothing, or kTreeInside
    kTreeInside,  ///< any characters, the last one a `/`
    kRest,        ///< anything
  };
  struct Element {
    Kind kind = Kind::kRune;
    char32_t rune = 0;         // kRune
    std::uint32_t number = 0;  // kClass: which
  };

  /// Error: `syntax error in pattern`.
  static Result<Glob> parse(std::string_view pattern, Dialect dialect);

  /// Whether the whole of `name` (decoded(), see rune.hpp) matches. |pattern| × |name| steps at most.
  [[nodiscard]] bool matches(std::u32string_view name) const;
  /// Whether some longer name that begins with `start` can match.
  [[nodiscard]] bool can_continue(std::u32string_view start) const;

  [[nodiscard]] const std::vector<Element>& elements() const { return elements_; }
  /// The pattern from element `first` on.
  [[nodiscard]] Glob tail(std::size_t first) const;

 private:
  struct Class {
    bool negated = false;
    std::vector<std::pair<char32_t, char32_t>> ranges;
  };
  class Parser;
  class Run;
  [[nodiscard]] bool accepts(const Element& element, char32_t rune) const;
  void find_needle();

  std::vector<Element> elements_;
  std::vector<Class> classes_;
  std::u32string needle_;  ///< the longest run of plain characters: every match has it
  Dialect dialect_ = Dialect::kPath;
};

}  // namespace slipway::dockerfile
