// The 512-byte header block of tar (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU), as its reader and its writer see it.
//
//   archive  = { member } , zero block, zero block
//   member   = { extended } , header , data padded to 512
//   extended = 'x' or 'g' header + pax records | 'L' or 'K' header + a name (GNU)
//   record   = LENGTH " " KEY "=" VALUE "\n"        LENGTH counts the whole record, in decimal
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace slipway::layer {

inline constexpr std::size_t kBlock = 512;

/// Offset and size of a field in the header block.
struct TarField {
  std::size_t offset;
  std::size_t size;
};
namespace tar_field {
inline constexpr TarField kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kMtime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kLink{157, 100}, kMagic{257, 6}, kVersion{263, 2}, kUname{265, 32},
    kGname{297, 32}, kMajor{329, 8}, kMinor{337, 8}, kPrefix{345, 155};
/// GNU's old sparse header: four (offset, size) pairs, a flag "more pairs follow in a block of their own", the real
/// size.
inline constexpr TarField kGnuSparse{386, 96}, kGnuExtended{482, 1}, kGnuRealSize{483, 12};
/// Such a block: 21 pairs and the flag.
inline constexpr TarField kMorePairs{0, 504}, kMoreExtended{504, 1};
inline constexpr TarField kStarPrefix{345, 131}, kStarTrailer{508, 4};
inline constexpr std::size_t kPairNumber = 12;
}  // namespace tar_field

/// The sums of a header's bytes, with blanks in place of the checksum field; some old writers summed signed chars.
struct TarSums {
  std::int64_t of_unsigned = 0;
  std::int64_t of_signed = 0;
};
[[nodiscard]] inline TarSums tar_sums(std::string_view block) {
  TarSums sums;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const auto& field = tar_field::kChecksum;
    const char c = i >= field.offset && i < field.offset + field.size ? ' ' : block[i];
    sums.of_unsigned += static_cast<unsigned char>(c);
    sums.of_signed += static_cast<signed char>(c);
  }
  return sums;
}

/// Bytes that fill `size` up to whole blocks.
[[nodiscard]] constexpr std::int64_t tar_padding(std::int64_t size) {
  return static_cast<std::int64_t>((kBlock - static_cast<std::uint64_t>(size) % kBlock) % kBlock);
}

}  // namespace slipway::layer
