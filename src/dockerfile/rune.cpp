#include "dockerfile/rune.hpp"

#include <array>

namespace slipway::dockerfile {
namespace {

constexpr char32_t kReplacement = 0xfffd;
constexpr std::string_view kBlanks = "\t\v\f\r ";

}  // namespace

Rune first_rune(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {kReplacement, 1};
  char32_t value = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return {kReplacement, 1};
    value = value << 6U | (byte(i) & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (value < kLeast[length] || value > 0x10ffff || surrogate) return {kReplacement, 1};
  return {value, length};
}

void append_rune(std::string& out, char32_t rune) {
  const auto put = [&](char32_t bits) { out += static_cast<char>(static_cast<unsigned char>(bits)); };
  if (rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) rune = kReplacement;
  if (rune < 0x80) {
    put(rune);
  } else if (rune < 0x800) {
    put(0xc0U | rune >> 6U);
    put(0x80U | (rune & 0x3fU));
  } else if (rune < 0x10000) {
    put(0xe0U | rune >> 12U);
    put(0x80U | (rune >> 6U & 0x3fU));
    put(0x80U | (rune & 0x3fU));
  } else {
    put(0xf0U | rune >> 18U);
    put(0x80U | (rune >> 12U & 0x3fU));
    put(0x80U | (rune >> 6U & 0x3fU));
    put(0x80U | (rune & 0x3fU));
  }
}

std::u32string decoded(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = first_rune(text);
    const bool valid = rune.length > 1 || static_cast<unsigned char>(text[0]) < 0x80;
    out += valid ? rune.value : kInvalidByte + static_cast<unsigned char>(text[0]);
    text.remove_prefix(rune.length);
  }
  return out;
}

std::string encoded(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (c >= kInvalidByte) {
      out += static_cast<char>(static_cast<unsigned char>(c - kInvalidByte));
    } else {
      append_rune(out, c);
    }
  }
  return out;
}

bool is_space(char32_t rune) {
  if (rune < 0x80) return rune == ' ' || (rune >= '\t' && rune <= '\r');
  return rune == 0x85 || rune == 0xa0 || rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 ||
         rune == 0x2029 || rune == 0x202f || rune == 0x205f || rune == 0x3000;
}

std::size_t leading_space(std::string_view text) {
  if (text.empty()) return 0;
  const Rune rune = first_rune(text);
  return is_space(rune.value) ? rune.length : 0;
}

std::string_view trim_left_space(std::string_view text) {
  while (const std::size_t length = leading_space(text)) text.remove_prefix(length);
  return text;
}

std::string_view trim_space(std::string_view text) {
  text = trim_left_space(text);
  while (!text.empty()) {
    // step back to the start of the last character: at most three continuation bytes
    std::size_t length = 1;
    while (length < 4 && length < text.size() &&
           (static_cast<unsigned char>(text[text.size() - length]) & 0xc0U) == 0x80) {
      ++length;
    }
    if (leading_space(text.substr(text.size() - length)) != length) break;
    text.remove_suffix(length);
  }
  return text;
}

std::vector<std::string_view> split_blanks(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const auto at = text.find_first_of(kBlanks);
    words.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return words;
    const auto next = text.find_first_not_of(kBlanks, at);
    text = next == std::string_view::npos ? std::string_view{} : text.substr(next);
  }
}

}  // namespace slipway::dockerfile
