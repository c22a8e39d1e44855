#include "sandbox/elf.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace slipway::sandbox {
namespace {

struct Architecture {
  std::string_view name;
  bool wide = true;  ///< ELFCLASS64
  bool big = false;  ///< big-endian
  std::uint16_t machine = 0;
  std::uint32_t flags = 0;
  std::string_view code;  ///< exit(0)
};

// The instructions of exit(0): the number of the system call, the status, the call.
constexpr std::array<Architecture, 10> kArchitectures = {{
    {"amd64", true, false, 62, 0, {"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05", 9}},
    {"arm64", true, false, 183, 0, {"\xa8\x0b\x80\xd2\x00\x00\x80\xd2\x01\x00\x00\xd4", 12}},
    {"arm", false, false, 40, 0x05000200, {"\x01\x70\xa0\xe3\x00\x00\xa0\xe3\x00\x00\x00\xef", 12}},
    {"386", false, false, 3, 0, {"\xb8\x01\x00\x00\x00\x31\xdb\xcd\x80", 9}},
    {"riscv64", true, false, 243, 4, {"\x93\x08\xd0\x05\x13\x05\x00\x00\x73\x00\x00\x00", 12}},
    {"ppc64le", true, false, 21, 2, {"\x01\x00\x00\x38\x00\x00\x60\x38\x02\x00\x00\x44", 12}},
    {"s390x", true, true, 22, 0, {"\xa7\x29\x00\x00\x0a\x01", 6}},
    {"loong64", true, false, 258, 0x43, {"\x0b\x74\x81\x03\x04\x00\x80\x03\x00\x00\x2b\x00", 12}},
    {"mips64le", true, false, 8, 0x80000007, {"\xc2\x13\x02\x24\x00\x00\x04\x24\x0c\x00\x00\x00", 12}},
    {"mips64", true, true, 8, 0x80000007, {"\x24\x02\x13\xc2\x24\x04\x00\x00\x00\x00\x00\x0c", 12}},
}};

/// Fields of an ELF file, in the byte order and word size of an architecture.
class Fields {
 public:
  explicit Fields(const Architecture& of) : of_(of) {}
  Fields& number(std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      const int shift = 8 * (of_.big ? bytes - 1 - i : i);
      out_ += static_cast<char>((value >> shift) & 0xff);
    }
    return *this;
  }
  Fields& half(std::uint64_t value) { return number(value, 2); }
  Fields& word(std::uint64_t value) { return number(value, 4); }
  Fields& address(std::uint64_t value) { return number(value, of_.wide ? 8 : 4); }
  Fields& bytes(std::string_view raw) {
    out_ += raw;
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  const Architecture& of_;
  std::string out_;
};

std::string program_of(const Architecture& of) {
  const std::uint64_t header = of.wide ? 64 : 52, segment = of.wide ? 56 : 32;
  constexpr std::uint64_t kBase = 0x400000, kAlignment = 0x10000;  // of the largest pages there are
  const std::uint64_t size = header + segment + of.code.size();
  Fields out(of);
  out.bytes(
         "\x7f"
         "ELF")
      .number(of.wide ? 2 : 1, 1)
      .number(of.big ? 2 : 1, 1)
      .number(1, 1)
      .bytes(std::string(9, '\0'));
  out.half(2).half(of.machine).word(1);                              // an executable of version 1
  out.address(kBase + header + segment).address(header).address(0);  // entry, segments, no sections
  out.word(of.flags).half(header).half(segment).half(1).half(0).half(0).half(0);
  constexpr int kLoad = 1, kReadAndExecute = 5;
  out.word(kLoad);
  if (of.wide) out.word(kReadAndExecute);
  out.address(0).address(kBase).address(kBase).address(size).address(size);
  if (!of.wide) out.word(kReadAndExecute);
  out.address(kAlignment).bytes(of.code);
  return out.take();
}

}  // namespace

std::optional<std::string_view> architecture_of(std::string_view head) {
  if (head.size() < 20 || !head.starts_with("\x7f"
                                            "ELF"))
    return std::nullopt;
  const bool wide = head[4] == 2, big = head[5] == 2;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(head[at])); };
  const unsigned machine = big ? byte(18) << 8 | byte(19) : byte(19) << 8 | byte(18);
  for (const auto& known : kArchitectures)
    if (known.machine == machine && known.wide == wide && known.big == big) return known.name;
  return std::nullopt;
}

std::string exit_program(std::string_view architecture) {
  const auto* const found = std::ranges::find(kArchitectures, architecture, &Architecture::name);
  return found == kArchitectures.end() ? std::string() : program_of(*found);
}

const std::vector<std::string_view>& known_architectures() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> out;
    for (const auto& known : kArchitectures) out.push_back(known.name);
    return out;
  }();
  return names;
}

}  // namespace slipway::sandbox
