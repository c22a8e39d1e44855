#include "dockerfile/glob.hpp"

#include <algorithm>
#include <array>

#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {

class Glob::Parser {
 public:
  Parser(std::string_view text, Dialect dialect) : runes_(decoded(text)), rest_(runes_) { glob_.dialect_ = dialect; }

  Result<Glob> run() {
    const bool suffix_form = leading_suffix_form();
    while (!rest_.empty()) {
      const char32_t c = take();
      switch (c) {
        case '*':
          if (glob_.dialect_ == Dialect::kIgnore && rest_.starts_with(U'*')) {
            stars(suffix_form);
          } else if (glob_.elements_.empty() || glob_.elements_.back().kind != Kind::kRun) {
            add(Kind::kRun);
          }
          break;
        case '?':
          add(Kind::kAny);
          break;
        case '[':
          TRY(char_class());
          break;
        case '\\':
          if (rest_.empty()) return bad();
          add(Kind::kRune, take());
          break;
        default:
          add(Kind::kRune, c);
      }
    }
    glob_.find_needle();
    return std::move(glob_);
  }

 private:
  static std::unexpected<Error> bad() { return fail(Code::kInvalidArgument, "syntax error in pattern"); }

  char32_t take() {
    const char32_t c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  void add(Kind kind, char32_t rune = 0) { glob_.elements_.push_back({.kind = kind, .rune = rune}); }

  // `**name` without another special character means "ends in name" to BuildKit, not "`**/` and a file called name".
  [[nodiscard]] bool leading_suffix_form() const {
    const std::u32string_view all = runes_;
    return all.starts_with(U"**") && all.find_first_of(U"*?[]\\", 2) == std::u32string_view::npos;
  }

  void stars(bool suffix_form) {
    take();
    const bool slash = rest_.starts_with(U'/');
    if (slash) take();
    if (rest_.empty() || (suffix_form && !slash)) {
      add(Kind::kRest);
    } else {
      add(Kind::kTree);
      add(Kind::kTreeInside);
    }
  }

  Result<char32_t> class_rune() {
    if (rest_.empty() || rest_[0] == '-' || rest_[0] == ']') return bad();
    if (rest_[0] == '\\') {
      take();
      if (rest_.empty()) return bad();
    }
    const char32_t c = take();
    // a class must end, so something has to follow; and Go wants valid UTF-8 here
    if (rest_.empty() || c >= kInvalidByte) return bad();
    return c;
  }

  Status char_class() {
    Class out;
    if (rest_.starts_with(U'^')) {
      take();
      out.negated = true;
    }
    while (rest_.empty() || rest_[0] != ']' || out.ranges.empty()) {
      const char32_t low = TRY(class_rune());
      char32_t high = low;
      if (rest_[0] == '-') {
        take();
        high = TRY(class_rune());
      }
      out.ranges.emplace_back(low, high);
    }
    take();
    glob_.elements_.push_back({.kind = Kind::kClass, .number = static_cast<std::uint32_t>(glob_.classes_.size())});
    glob_.classes_.push_back(std::move(out));
    return {};
  }

  std::u32string runes_;
  std::u32string_view rest_;
  Glob glob_;
};

// All ways through the pattern side by side: the set of elements that may come next, as bits of words.
class Glob::Run {
 public:
  explicit Run(const Glob& glob) : glob_(glob), words_(glob.elements_.size() / 64 + 1) {
    if (words_ > inline_.size() / 2) heap_.resize(2 * words_);
    here_ = heap_.empty() ? inline_.data() : heap_.data();
    there_ = here_ + words_;
    std::fill_n(here_, 2 * words_, 0);
    enter(here_, 0);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // False: no way is left.
  bool read(std::u32string_view text) {
    for (const char32_t c : text)
      if (!step(c)) return false;
    return true;
  }

  [[nodiscard]] bool at_end() const { return bit(here_, glob_.elements_.size()); }
  // A way that is not at the end already can go on: each element takes some character.
  [[nodiscard]] bool before_end() const {
    for (std::size_t i = 0; i < glob_.elements_.size(); ++i)
      if (bit(here_, i)) return true;
    return false;
  }

 private:
  [[nodiscard]] static bool bit(const std::uint64_t* set, std::size_t at) {
    return (set[at / 64] >> (at % 64) & 1U) != 0;
  }

  void enter(std::uint64_t* set, std::size_t at) {
    while (!bit(set, at)) {
      set[at / 64] |= std::uint64_t{1} << (at % 64);
      if (at == glob_.elements_.size()) return;
      switch (glob_.elements_[at].kind) {
        case Kind::kTree:
          enter(set, at + 2);
          [[fallthrough]];  // one level: kTreeInside follows and enters nothing
        case Kind::kRun:
        case Kind::kRest:
          ++at;
          break;
        default:
          return;
      }
    }
  }

  bool step(char32_t c) {
    std::fill_n(there_, words_, 0);
    std::uint64_t any = 0;
    for (std::size_t word = 0; word < words_; ++word) {
      for (std::uint64_t bits = here_[word]; bits != 0; bits &= bits - 1) {
        advance(word * 64 + static_cast<std::size_t>(__builtin_ctzll(bits)), c);
      }
    }
    for (std::size_t word = 0; word < words_; ++word) any |= there_[word];
    std::swap(here_, there_);
    return any != 0;
  }

  void advance(std::size_t at, char32_t c) {
    if (at == glob_.elements_.size()) return;
    const Element& element = glob_.elements_[at];
    switch (element.kind) {
      case Kind::kTree:
        return;
      case Kind::kTreeInside:
        enter(there_, at);
        if (c == '/') enter(there_, at + 1);
        return;
      case Kind::kRun:
        if (c != '/') enter(there_, at);
        return;
      case Kind::kRest:
        enter(there_, at);
        return;
      default:
        if (glob_.accepts(element, c)) enter(there_, at + 1);
    }
  }

  const Glob& glob_;
  std::size_t words_;
  std::array<std::uint64_t, 8> inline_{};  // patterns of up to 255 elements need no allocation
  std::vector<std::uint64_t> heap_;
  std::uint64_t* here_;
  std::uint64_t* there_;
};

Result<Glob> Glob::parse(std::string_view pattern, Dialect dialect) { return Parser(pattern, dialect).run(); }

bool Glob::accepts(const Element& element, char32_t rune) const {
  if (element.kind == Kind::kRune) return rune == element.rune;
  if (element.kind == Kind::kAny) return rune != '/';
  if (dialect_ == Dialect::kIgnore && rune == '/') return false;
  const char32_t value = rune >= kInvalidByte ? 0xfffd : rune;
  const Class& set = classes_[element.number];
  const bool inside =
      std::ranges::any_of(set.ranges, [&](auto range) { return range.first <= value && value <= range.second; });
  return inside != set.negated;
}

void Glob::find_needle() {
  needle_.clear();
  std::u32string run;
  for (const auto& element : elements_) {
    if (element.kind == Kind::kRune)
      run.push_back(element.rune);
    else
      run.clear();
    if (run.size() > needle_.size()) needle_ = run;
  }
}

bool Glob::matches(std::u32string_view name) const {
  // most names fail on the fixed end of the pattern: look there first
  std::size_t fixed = elements_.size();
  std::size_t end = name.size();
  while (fixed > 0 && elements_[fixed - 1].kind == Kind::kRune) {
    if (end == 0 || name[end - 1] != elements_[fixed - 1].rune) return false;
    --fixed, --end;
  }
  if (fixed == 0) return end == 0;
  // and of the rest most have not what stands in its middle: thousands of patterns against thousands of names
  if (name.find(needle_) == std::u32string_view::npos) return false;
  Run run(*this);
  return run.read(name) && run.at_end();
}

bool Glob::can_continue(std::u32string_view start) const {
  Run run(*this);
  return run.read(start) && run.before_end();
}

Glob Glob::tail(std::size_t first) const {
  Glob out;
  out.dialect_ = dialect_;
  out.classes_ = classes_;
  out.elements_.assign(elements_.begin() + static_cast<std::ptrdiff_t>(first), elements_.end());
  out.find_needle();
  return out;
}

}  // namespace slipway::dockerfile
