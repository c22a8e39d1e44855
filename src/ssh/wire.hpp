// The SSH wire types (RFC 4251 section 5): uint32, string, mpint.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slipway::ssh {

/// Reads from the front; once something is missing everything fails.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : left_(bytes) {}

  std::uint8_t byte() {
    const auto one = take(1);
    return one.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(one[0]);
  }
  std::uint32_t number() {
    std::uint32_t out = 0;
    for (const char one : take(4)) out = out << 8 | static_cast<std::uint8_t>(one);
    return out;
  }
  /// Points into what is read.
  std::string_view string() { return take(number()); }
  [[nodiscard]] std::string_view rest() const { return left_; }
  [[nodiscard]] bool good() const { return good_; }
  /// Everything was there and nothing is left over.
  [[nodiscard]] bool complete() const { return good_ && left_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    if (!good_ || size > left_.size()) {
      good_ = false;
      return {};
    }
    const auto out = left_.substr(0, size);
    left_.remove_prefix(size);
    return out;
  }
  std::string_view left_;
  bool good_ = true;
};

class WireWriter {
 public:
  WireWriter& byte(std::uint8_t value) {
    bytes_.push_back(static_cast<char>(value));
    return *this;
  }
  WireWriter& number(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>(value >> shift));
    return *this;
  }
  WireWriter& string(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
    return *this;
  }
  /// A number that is not negative, given big-endian: without leading zeros, but with one where the top bit is set.
  WireWriter& mpint(std::string_view value) {
    while (!value.empty() && value.front() == '\0') value.remove_prefix(1);
    const bool padded = !value.empty() && (static_cast<std::uint8_t>(value.front()) & 0x80U) != 0;
    number(static_cast<std::uint32_t>(value.size() + (padded ? 1 : 0)));
    if (padded) bytes_.push_back('\0');
    bytes_.append(value);
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace slipway::ssh
