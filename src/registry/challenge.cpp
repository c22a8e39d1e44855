#include "registry/challenge.hpp"

#include <optional>

#include "base/text.hpp"

namespace slipway::registry {
namespace {

constexpr std::size_t kMostChallenges = 16;
constexpr std::string_view kTokenChars =
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  void skip(std::string_view chars) { rest_.remove_prefix(std::min(rest_.find_first_not_of(chars), rest_.size())); }
  std::string token() {
    const auto size = std::min(rest_.find_first_not_of(kTokenChars), rest_.size());
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  /// token or quoted-string; nothing for a string without its end.
  std::optional<std::string> value() {
    if (!take('"')) return token();
    std::string text;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return text;
      if (c == '\\' && !rest_.empty()) {
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      text += c;
    }
    return std::nullopt;
  }

 private:
  std::string_view rest_;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view value) {
  std::vector<Challenge> challenges;
  Parser parser(value);
  while (true) {
    parser.skip(" \t,");
    const std::string name = lower(parser.token());
    if (name.empty()) return challenges;
    parser.skip(" \t");
    if (!parser.take('=')) {  // a word without "=" begins the next challenge
      if (challenges.size() == kMostChallenges) return challenges;
      challenges.push_back({name, {}});
      continue;
    }
    if (challenges.empty()) return challenges;
    parser.skip(" \t");
    auto content = parser.value();
    if (!content) return challenges;
    challenges.back().parameters.insert({name, *std::move(content)});
  }
}

}  // namespace slipway::registry
