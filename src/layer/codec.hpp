// Codecs: gzip (ISA-L both ways, zlib where a level is asked for), zstd and plain, streaming with bounded memory; bzip2
// and xz are read too where archives of users come in.
#pragma once

#include <memory>
#include <optional>

#include "layer/layer.hpp"

namespace slipway::layer {

/// What the first bytes say (gzip 1f 8b, zstd 28 b5 2f fd, else plain); needs at most 4 bytes.
[[nodiscard]] oci::Compression detect(std::string_view first_bytes);

/// Decompresses a stream told by its first bytes. Reads gzip with many members and zstd with many frames; bytes after
/// the last member, a truncated stream and a bad checksum are kDataLoss. zstd windows are limited to 128 MiB; those
/// above kOwnWindow ask `lend` first, if there is one. The ratio of output to input is not judged here: Limits are
/// unpack()'s.
[[nodiscard]] Result<Source> decoder(Source compressed, Lend lend = {});
inline constexpr std::size_t kOwnWindow = 8 << 20;  ///< what zstd takes below its --ultra levels

/// The same, and bzip2 (`BZh`, many streams) and xz (fd 37 7a 58 5a 00, many streams and padding; a dictionary that
/// needs more than 128 MiB is kOutOfRange): archives of ADD and build contexts. Layers of images are never these.
[[nodiscard]] Result<Source> archive_decoder(Source compressed);

/// What a layer's bytes decompress to.
struct Plain {
  oci::DiffId diff;
  std::int64_t bytes = 0;
};
/// Reads `compressed` (as decoder() does) to its end. kOutOfRange beyond Limits::unpacked_bytes.
[[nodiscard]] Result<Plain> read_plain(Source compressed, const Cancel& cancel);

/// detect() of an open file; its position stays.
[[nodiscard]] Result<oci::Compression> detect_file(int file);

/// A compressor: write, then finish once. `Target` gets the compressed bytes.
class Encoder {
 public:
  virtual ~Encoder() = default;
  [[nodiscard]] virtual Status write(std::string_view bytes) = 0;
  [[nodiscard]] virtual Status finish() = 0;
};
/// gzip by ISA-L level 1 (header without name and time: equal input, equal output on one processor family), or zstd
/// level 3, or plain. With a `level`: gzip 0 (stored) to 9 by zlib, zstd 1 to 22; plain has none.
[[nodiscard]] std::unique_ptr<Encoder> encoder(oci::Compression compression, Target target,
                                               std::optional<int> level = {});

}  // namespace slipway::layer
