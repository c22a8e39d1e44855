#include "dockerfile/expand.hpp"

#include "base/text.hpp"
#include "dockerfile/pattern.hpp"
#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_'; }

struct Options {
  char escape = '\\';
  bool keep_quotes = false;     // quotes protect, and stay in the answer
  bool keep_escapes = false;    // so do escape characters
  bool literal_quotes = false;  // quotes are characters like any other
  bool keep_unset = false;      // a variable that is not set stays as it is written
};

// Cuts what is added into words. Nothing is kept of an empty word.
class Words {
 public:
  // Text of which blanks end a word.
  void add(std::string_view text) {
    while (!text.empty()) {
      std::size_t end = 0;
      while (end < text.size() && leading_space(text.substr(end)) == 0) ++end;
      word_ += text.substr(0, end);
      text.remove_prefix(end);
      if (const std::size_t blank = leading_space(text)) {
        finish();
        text.remove_prefix(blank);
      }
    }
  }
  void add_protected(std::string_view text) { word_ += text; }
  void finish() {
    if (word_.empty()) return;
    size_ += word_.size();
    words_.push_back(std::move(word_));
    word_.clear();
  }
  [[nodiscard]] std::size_t size() const { return size_ + word_.size(); }
  std::vector<std::string> take() {
    finish();
    return std::move(words_);
  }

 private:
  std::string word_;
  std::vector<std::string> words_;
  std::size_t size_ = 0;
};

class Expander {
 public:
  Expander(std::string_view source, const Options& options, const Lookup& lookup)
      : rest_(source), options_(options), lookup_(lookup), keep_escapes_(options.keep_escapes) {}

  // `words`, when given, gets the text instead of the answer.
  Result<std::string> all(Words* words) { return until('\0', options_.keep_escapes, words); }

 private:
  static constexpr char kEnd = '\0';  // no source holds a NUL: parse() refuses it

  [[nodiscard]] char peek() const { return rest_.empty() ? kEnd : rest_[0]; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  char next() {
    const char c = peek();
    if (!rest_.empty()) rest_.remove_prefix(1);
    return c;
  }

  std::string_view next_rune() {
    const std::string_view rune = rest_.substr(0, first_rune(rest_).length);
    rest_.remove_prefix(rune.size());
    return rune;
  }

  static std::unexpected<Error> syntax(std::string_view what) {
    return fail(Code::kInvalidArgument, "syntax error: {}", what);
  }

  static Status check_size(std::size_t size) {
    if (size > kWordLimit) {
      return fail(Code::kResourceExhausted, "the expanded text exceeds {} MiB", kWordLimit >> 20U);
    }
    return {};
  }

  // Reads up to `stop`, which is taken, or to the end when there is none.
  Result<std::string> until(char stop, bool keep_escapes, Words* words) {
    if (++depth_ > kNestingLimit) {
      return fail(Code::kResourceExhausted, "variables are nested deeper than {} levels", kNestingLimit);
    }
    const bool outer = std::exchange(keep_escapes_, keep_escapes);
    auto result = read_until(stop, words);
    keep_escapes_ = outer;
    --depth_;
    return result;
  }

  Result<std::string> read_until(char stop, Words* words) {
    std::string out;
    while (!at_end()) {
      const char c = peek();
      if (stop != kEnd && c == stop) {
        next();
        return out;
      }
      if (c == '$') {
        const std::string value = TRY(dollar());
        words != nullptr ? words->add(value) : void(out += value);
      } else if (!options_.literal_quotes && (c == '\'' || c == '"')) {
        const std::string value = TRY(c == '"' ? double_quotes() : single_quotes());
        words != nullptr ? words->add_protected(value) : void(out += value);
      } else if (c == options_.escape) {
        std::string value;
        if (keep_escapes_) value += c;
        next();
        if (!at_end()) value += next_rune();
        words != nullptr ? words->add_protected(value) : void(out += value);
      } else {
        const std::string_view plain = take_plain(stop);
        words != nullptr ? words->add(plain) : void(out += plain);
      }
      TRY(check_size(words != nullptr ? words->size() : out.size()));
    }
    if (stop == kEnd) return out;
    return fail(Code::kInvalidArgument, "unexpected end of statement while looking for matching {}", stop);
  }

  // The text up to the next character that means something, at least one character.
  std::string_view take_plain(char stop) {
    const char special[] = {'$', '\'', '"', options_.escape, stop};
    const auto end = rest_.find_first_of(std::string_view(special, stop == kEnd ? 4 : 5), 1);
    const std::string_view plain = rest_.substr(0, end);
    rest_.remove_prefix(plain.size());
    return plain;
  }

  Result<std::string> single_quotes() {
    const auto end = rest_.find('\'', 1);
    if (end == std::string_view::npos) {
      rest_ = {};
      return fail(Code::kInvalidArgument, "unexpected end of statement while looking for matching single-quote");
    }
    const auto text = options_.keep_quotes ? rest_.substr(0, end + 1) : rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return std::string(text);
  }

  Result<std::string> double_quotes() {
    std::string out;
    if (next(); options_.keep_quotes) out += '"';
    while (!at_end()) {
      const char c = peek();
      if (c == '$') {
        out += TRY(dollar());
        TRY(check_size(out.size()));
        continue;
      }
      next();
      if (c == '"') {
        if (options_.keep_quotes) out += '"';
        return out;
      }
      if (c != options_.escape) {
        out += c;
        continue;
      }
      const bool escapes = peek() == '"' || peek() == '$' || peek() == options_.escape;
      if (keep_escapes_ || (!escapes && !at_end())) out += c;
      if (escapes) out += next();
    }
    return fail(Code::kInvalidArgument, "unexpected end of statement while looking for matching double-quote");
  }

  std::string name() {
    if (is_digit(peek())) return take_while(is_digit);
    if (!at_end() && std::string_view("@*#?-$!").contains(peek())) return std::string(1, next());
    return take_while(is_name);
  }

  std::string take_while(bool (*belongs)(char)) {
    std::string out;
    while (!at_end() && belongs(peek())) out += next();
    return out;
  }

  Result<std::string> dollar() {
    next();
    if (peek() == '{' && !at_end()) {
      next();
      return braces();
    }
    const std::string variable = name();
    if (variable.empty()) return "$";
    auto value = lookup_(variable);
    if (!value && options_.keep_unset) return "$" + variable;
    return std::move(value).value_or("");
  }

  Result<std::string> braces() {
    if (at_end()) return syntax("missing '}'");
    if (std::string_view("{}:").contains(peek())) return syntax("bad substitution");
    const std::string variable = name();
    if (at_end()) return syntax("missing '}'");
    std::string modifier(next_rune());
    switch (modifier[0]) {
      case '}': {
        auto value = lookup_(variable);
        if (!value && options_.keep_unset) return "${" + variable + "}";
        return std::move(value).value_or("");
      }
      case ':':
        if (at_end()) return syntax("missing '}'");
        modifier += next_rune();
        if (modifier == ":-" || modifier == ":+" || modifier == ":?") return fallback(variable, modifier[1], true);
        return unsupported(variable, modifier);
      case '-':
      case '+':
      case '?':
        return fallback(variable, modifier[0], false);
      case '#':
      case '%':
        return removal(variable, modifier[0]);
      case '/':
        return replacement(variable);
      default:
        return unsupported(variable, modifier);
    }
  }

  // What only some shells know (`${v:1:2}`, `${v^^}`) is none of ours, but no reason not to find the heredocs of a RUN.
  Result<std::string> unsupported(const std::string& variable, const std::string& modifier) {
    const auto error = [&] {
      return fail(Code::kInvalidArgument, "unsupported modifier ({}) in substitution", printable(modifier));
    };
    const bool word_follows = modifier.starts_with(':') && modifier != ":#" && modifier != ":%";
    if (!word_follows && !options_.keep_unset) return error();
    const std::string word = TRY(inner('}', false, "missing '}'"));
    if (!options_.keep_unset) return error();
    return fmt::format("${{{}{}{}}}", variable, modifier, word);
  }

  // A word within braces; whatever is wrong at the end of the text, the brace is missing first of all.
  Result<std::string> inner(char stop, bool keep_escapes, std::string_view missing) {
    auto word = until(stop, keep_escapes, nullptr);
    if (!word && at_end() && word.error().code() == Code::kInvalidArgument) return syntax(missing);
    return word;
  }

  Result<std::string> fallback(const std::string& variable, char modifier, bool empty_is_unset) {
    std::string word = TRY(inner('}', false, "missing '}'"));
    auto value = lookup_(variable);
    if (!value && options_.keep_unset) {
      return fmt::format("${{{}{}{}{}}}", variable, empty_is_unset ? ":" : "", modifier, word);
    }
    const bool absent = !value || (empty_is_unset && value->empty());
    if (modifier == '+') return absent ? std::string() : word;
    if (!absent) return *std::move(value);
    if (modifier == '-') return word;
    const std::string_view message = !word.empty() ? std::string_view(word)
                                     : !value      ? "is not allowed to be unset"
                                                   : "is not allowed to be empty";
    return fail(Code::kInvalidArgument, "{}: {}", variable, printable(message));
  }

  Result<std::string> removal(const std::string& variable, char modifier) {
    const std::string word = TRY(inner('}', true, "missing '}'"));
    const auto value = lookup_(variable);
    if (!value && options_.keep_unset) return fmt::format("${{{}{}{}}}", variable, modifier, word);
    std::string_view text = word;
    auto length = Pattern::Length::kShortest;
    if (text.starts_with(modifier)) {
      text.remove_prefix(1);
      length = Pattern::Length::kLongest;
    }
    const auto pattern = TRY(Pattern::parse(text));
    if (!value) return "";
    return modifier == '#' ? pattern.without_prefix(*value, length) : pattern.without_suffix(*value, length);
  }

  Result<std::string> replacement(const std::string& variable) {
    const bool all = !at_end() && peek() == '/';
    if (all) next();
    const std::string text = TRY(inner('/', true, "missing '/' in ${}"));
    const std::string with = TRY(inner('}', true, "missing '}'"));
    const auto value = lookup_(variable);
    if (!value && options_.keep_unset) {
      return fmt::format("${{{}/{}{}/{}}}", variable, all ? "/" : "", text, with);
    }
    const auto pattern = TRY(Pattern::parse(text));
    return pattern.replaced(value.value_or(""), with, all, kWordLimit);
  }

  std::string_view rest_;
  const Options& options_;
  const Lookup& lookup_;
  bool keep_escapes_;
  int depth_ = 0;
};

Error while_processing(const Error& error, std::string_view source) {
  return Error(error.code(), fmt::format("failed to process {}: {}", quoted(source), error.what()));
}

Result<std::string> expand(std::string_view text, const Options& options, const Lookup& lookup) {
  auto word = Expander(text, options, lookup).all(nullptr);
  if (!word) return std::unexpected(while_processing(word.error(), text));
  return word;
}

Result<std::vector<std::string>> expand_list(std::string_view text, const Options& options, const Lookup& lookup) {
  Words words;
  const auto done = Expander(text, options, lookup).all(&words);
  if (!done) return std::unexpected(while_processing(done.error(), text));
  return words.take();
}

const Lookup& nothing_set() {
  static const Lookup kNothing = [](std::string_view) -> std::optional<std::string> { return {}; };
  return kNothing;
}

}  // namespace

Result<std::string> expand_word(std::string_view text, char escape, const Lookup& lookup) {
  return expand(text, {.escape = escape}, lookup);
}

Result<std::vector<std::string>> expand_words(std::string_view text, char escape, const Lookup& lookup) {
  return expand_list(text, {.escape = escape}, lookup);
}

Result<std::string> expand_body(std::string_view text, const Lookup& lookup) {
  return expand(text, {.literal_quotes = true}, lookup);
}

Result<std::vector<std::string>> raw_words(std::string_view text) {
  return expand_list(text, {.keep_quotes = true, .keep_escapes = true, .keep_unset = true}, nothing_set());
}

Result<std::optional<std::string>> unquoted_word(std::string_view text) {
  auto words = TRY(expand_list(text, {.keep_unset = true}, nothing_set()));
  if (words.size() != 1) return std::nullopt;
  return std::move(words[0]);
}

}  // namespace slipway::dockerfile
