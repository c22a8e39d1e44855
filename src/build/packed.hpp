// Packed: numbers and texts as bytes, and back. What is read comes from a database that somebody may have written to:
// every length is checked before it is believed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::build {

class Packer {
 public:
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  void raw(std::string_view bytes) { out_ += bytes; }
  void text(std::string_view bytes) {
    number(bytes.size());
    raw(bytes);
  }
  [[nodiscard]] std::size_t size() const { return out_.size(); }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

/// Every call fails with kDataLoss when the bytes are not what Packer writes.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] Result<std::uint64_t> number() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      if (rest_.empty()) return broken();
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return broken();
  }
  /// A number of at most `limit`.
  [[nodiscard]] Result<std::uint64_t> number(std::uint64_t limit) {
    const std::uint64_t value = TRY(number());
    if (value > limit) return broken();
    return value;
  }
  [[nodiscard]] Result<std::string_view> raw(std::size_t size) {
    if (size > rest_.size()) return broken();
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  [[nodiscard]] Result<std::string_view> text(std::size_t limit) { return raw(TRY(number(limit))); }
  [[nodiscard]] Status end() const { return rest_.empty() ? Status{} : Status(broken()); }
  static std::unexpected<Error> broken() { return fail(Code::kDataLoss, "the record of a build is garbled"); }

 private:
  std::string_view rest_;
};

}  // namespace slipway::build
