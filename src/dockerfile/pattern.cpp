#include "dockerfile/pattern.hpp"

#include <algorithm>
#include <vector>

#include "base/text.hpp"
#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {
namespace {

// beyond Unicode, below kInvalidByte
constexpr char32_t kAnyRun = 0x110000;
constexpr char32_t kAnyOne = 0x110001;
constexpr std::size_t kMostSteps = std::size_t{1} << 24U;  // and two for each character of the value

// Runs all ways through the pattern side by side: the set of places in the pattern that the text read so far can have
// led to. No backtracking, so no pattern is slow beyond length × length.
class Matcher {
 public:
  Matcher(std::u32string_view pattern, std::size_t value_size)
      : pattern_(pattern), seen_(pattern.size() + 1), most_steps_(kMostSteps + 2 * value_size) {}

  /// The end of the match that begins at text[0], if there is one.
  Result<std::optional<std::size_t>> match(std::u32string_view text, Pattern::Length length) {
    std::optional<std::size_t> end;
    here_.clear();
    next_round();
    enter(here_, 0);
    for (std::size_t at = 0;; ++at) {
      if (!here_.empty() && seen_[pattern_.size()] == round_) {
        end = at;
        if (length == Pattern::Length::kShortest) return end;
      }
      if (at == text.size() || here_.empty()) return end;
      steps_ += here_.size();
      if (steps_ > most_steps_) {
        return fail(Code::kResourceExhausted, "matching a pattern of {} characters takes too long", pattern_.size());
      }
      step(text[at]);
    }
  }

 private:
  void next_round() { ++round_; }

  // A place and those reached from it without reading: a run may be empty.
  void enter(std::vector<std::size_t>& places, std::size_t place) {
    for (; seen_[place] != round_; ++place) {
      seen_[place] = round_;
      places.push_back(place);
      if (place == pattern_.size() || pattern_[place] != kAnyRun) return;
    }
  }

  void step(char32_t c) {
    there_.clear();
    next_round();
    for (const std::size_t place : here_) {
      if (place == pattern_.size()) continue;
      const char32_t element = pattern_[place];
      if (element == kAnyRun) {
        if (c != '\n') enter(there_, place);
      } else if (element == c || (element == kAnyOne && c != '\n')) {
        enter(there_, place + 1);
      }
    }
    std::swap(here_, there_);
  }

  std::u32string_view pattern_;
  std::vector<std::size_t> here_, there_;
  std::vector<std::size_t> seen_;  // the round in which a place was entered last
  std::size_t round_ = 0, steps_ = 0, most_steps_;
};

}  // namespace

Result<Pattern> Pattern::parse(std::string_view text) {
  Pattern pattern;
  const std::u32string runes = decoded(text);
  for (std::size_t i = 0; i < runes.size(); ++i) {
    char32_t c = runes[i];
    if (c == '*') {
      c = kAnyRun;
    } else if (c == '?') {
      c = kAnyOne;
    } else if (c == '\\') {
      c = i + 1 < runes.size() ? runes[i + 1] : 0;
      if (c == 0 || !std::u32string_view(U"*?\\/}").contains(c)) {
        const std::string escape = c == 0 ? std::string("\\") : "\\" + encoded(std::u32string_view(&c, 1));
        return fail(Code::kInvalidArgument, "invalid pattern ({}) in substitution: invalid escape '{}'",
                    printable(text, 256), printable(escape));
      }
      ++i;
    }
    // a run of runs is one run, and costs as much
    if (c != kAnyRun || pattern.elements_.empty() || pattern.elements_.back() != kAnyRun) pattern.elements_ += c;
  }
  return pattern;
}

Result<std::string> Pattern::without_prefix(std::string_view value, Length length) const {
  const std::u32string text = decoded(value);
  const auto end = TRY(Matcher(elements_, text.size()).match(text, length));
  return end ? encoded(std::u32string_view(text).substr(*end)) : std::string(value);
}

Result<std::string> Pattern::without_suffix(std::string_view value, Length length) const {
  std::u32string text = decoded(value);
  std::reverse(text.begin(), text.end());
  const std::u32string pattern(elements_.rbegin(), elements_.rend());
  const auto end = TRY(Matcher(pattern, text.size()).match(text, length));
  if (!end) return std::string(value);
  text.erase(0, *end);
  std::reverse(text.begin(), text.end());
  return encoded(text);
}

Result<std::string> Pattern::replaced(std::string_view value, std::string_view replacement, bool all,
                                      std::size_t limit) const {
  const std::u32string decoded_text = decoded(value);
  const std::u32string_view text = decoded_text;
  Matcher matcher(elements_, text.size());
  std::string out;
  std::size_t copied = 0, from = 0;
  std::optional<std::size_t> last_end;
  while (from <= text.size()) {
    const auto length = TRY(matcher.match(text.substr(from), Length::kLongest));
    if (!length) {
      // a pattern that begins with a run has just been tried at every place of this line
      const auto newline = elements_.starts_with(kAnyRun) ? text.find(U'\n', from) : from;
      if (newline == std::u32string_view::npos) break;
      from = newline + 1;
      continue;
    }
    const std::size_t end = from + *length;
    if (*length > 0 || last_end != from) {  // an empty match right behind the last one does not count
      out += encoded(text.substr(copied, from - copied));
      out += replacement;
      copied = end;
      last_end = end;
      if (out.size() > limit) return fail(Code::kResourceExhausted, "a replaced value exceeds {} bytes", limit);
      if (!all) break;
    }
    from = *length > 0 ? end : from + 1;
  }
  out += encoded(text.substr(copied));
  if (out.size() > limit) return fail(Code::kResourceExhausted, "a replaced value exceeds {} bytes", limit);
  return out;
}

}  // namespace slipway::dockerfile
