#include "dockerfile/json_list.hpp"

#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {
namespace {

constexpr std::size_t kMostNested = 10000;  // Go's limit

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  JsonList list() {
    JsonList list;
    if (!take('[')) return {};
    bool strings = true;
    if (blanks(); !take(']')) {
      do {
        blanks();
        std::string item;
        if (rest_.starts_with('"')) {
          if (!string(item)) return {};
          list.items.push_back(std::move(item));
        } else {
          if (!other_value()) return {};
          strings = false;
        }
        blanks();
      } while (take(','));
      if (!take(']')) return {};
    }
    if (blanks(); !rest_.empty()) return {};
    if (!strings) return {.kind = JsonList::Kind::kNotStrings, .items = {}};
    list.kind = JsonList::Kind::kStrings;
    return list;
  }

 private:
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void blanks() {
    const auto at = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(at == std::string_view::npos ? rest_.size() : at);
  }

  bool word(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  // -1: not four hexadecimal digits
  int unit() {
    if (rest_.size() < 4) return -1;
    int value = 0;
    for (int i = 0; i < 4; ++i) {
      const int digit = hex_digit(rest_[static_cast<std::size_t>(i)]);
      if (digit < 0) return -1;
      value = value * 16 + digit;
    }
    rest_.remove_prefix(4);
    return value;
  }

  bool unicode_escape(std::string& out) {
    const int first = unit();
    if (first < 0) return false;
    auto rune = static_cast<char32_t>(first);
    if (first >= 0xd800 && first < 0xdc00 && rest_.starts_with("\\u")) {
      const std::string_view before = rest_;
      rest_.remove_prefix(2);
      const int second = unit();
      if (second >= 0xdc00 && second < 0xe000) {
        rune = 0x10000 + (static_cast<char32_t>(first - 0xd800) << 10U) + static_cast<char32_t>(second - 0xdc00);
      } else {
        rest_ = before;  // the second escape is read on its own, and found bad there if it is
      }
    }
    append_rune(out, rune);
    return true;
  }

  bool escape(std::string& out) {
    if (rest_.empty()) return false;
    const char c = rest_[0];
    rest_.remove_prefix(1);
    switch (c) {
      case '"':
      case '\\':
      case '/':
        out += c;
        return true;
      case 'b':
        out += '\b';
        return true;
      case 'f':
        out += '\f';
        return true;
      case 'n':
        out += '\n';
        return true;
      case 'r':
        out += '\r';
        return true;
      case 't':
        out += '\t';
        return true;
      case 'u':
        return unicode_escape(out);
      default:
        return false;
    }
  }

  bool string(std::string& out) {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const auto c = static_cast<unsigned char>(rest_[0]);
      if (c < 0x20) return false;
      const Rune rune = first_rune(rest_);
      rest_.remove_prefix(rune.length);
      if (c == '"') return true;
      if (c == '\\') {
        if (!escape(out)) return false;
      } else {
        append_rune(out, rune.value);
      }
    }
    return false;
  }

  bool digits() {
    if (rest_.empty() || !is_digit(rest_[0])) return false;
    while (!rest_.empty() && is_digit(rest_[0])) rest_.remove_prefix(1);
    return true;
  }

  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      return digits();
    }
    return true;
  }

  bool scalar() {
    if (rest_.empty()) return false;
    std::string ignored;
    switch (rest_[0]) {
      case '"':
        return string(ignored);
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool key() {
    std::string ignored;
    blanks();
    if (!string(ignored)) return false;
    blanks();
    return take(':');
  }

  // Any value, only checked. `open` is the stack of containers that a recursive reader would keep in its frames.
  bool other_value() {
    std::string open;
    do {
      blanks();
      if (take('[')) {
        open += '[';
        if (blanks(); !take(']')) continue;
        open.pop_back();
      } else if (take('{')) {
        open += '{';
        if (blanks(); !take('}')) {
          if (!key()) return false;
          continue;
        }
        open.pop_back();
      } else if (!scalar()) {
        return false;
      }
      if (!close(open)) return false;
    } while (!open.empty() && open.size() < kMostNested);
    return open.empty();
  }

  // Behind a value: leaves the containers that end here; with one still open, stands before its next value.
  bool close(std::string& open) {
    while (!open.empty()) {
      blanks();
      if (take(',')) return open.back() == '[' || key();
      if (!take(open.back() == '[' ? ']' : '}')) return false;
      open.pop_back();
    }
    return true;
  }

  std::string_view rest_;
};

}  // namespace

JsonList parse_json_list(std::string_view text) { return Reader(trim_left_space(text)).list(); }

}  // namespace slipway::dockerfile
