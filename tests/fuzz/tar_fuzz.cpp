// Any bytes as a tar: the reader alone, and unpacked with each treatment of whiteouts into a directory that nothing may
// leave.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <algorithm>
#include <string_view>

#include "layer/layer.hpp"
#include "layer/tar_reader.hpp"
#include "sys/file.hpp"

namespace {

using namespace slipway;

constexpr layer::Limits kLimits{
    .entries = 200, .unpacked_bytes = 1 << 20, .xattr_bytes = 4096, .extended_bytes = 1 << 16};

void read_all(std::string_view bytes, std::size_t step) {
  layer::TarReader reader(
      [&]() -> Result<std::string_view> {
        const auto chunk = bytes.substr(0, step);
        bytes.remove_prefix(chunk.size());
        return chunk;
      },
      kLimits);
  layer::Entry entry;
  while (true) {
    const auto more = reader.next(entry);
    if (!more || !*more) break;
    std::int64_t end = 0;
    while (true) {
      const auto piece = reader.read();
      if (!piece || piece->bytes.empty()) break;
      // Content ascends and stays within the size that was announced.
      if (piece->offset < end) std::abort();
      end = piece->offset + static_cast<std::int64_t>(piece->bytes.size());
      if (end > entry.size && entry.type == layer::EntryType::kFile) std::abort();
    }
  }
  (void)reader.drain();
}

void unpack_all(std::string_view bytes, layer::Whiteouts whiteouts) {
  const auto dir = sys::TempDir::make("/tmp", "slipway-tar-fuzz-");
  if (!dir || !sys::make_directories(dir->path() + "/root", 0755)) std::abort();
  const auto root = sys::open(dir->path() + "/root", O_RDONLY | O_DIRECTORY);
  if (!root) std::abort();
  const layer::Source source = [&](char* to, std::size_t size) -> Result<std::size_t> {
    const auto take = std::min(size, bytes.size());
    std::copy_n(bytes.data(), take, to);
    bytes.remove_prefix(take);
    return take;
  };
  (void)layer::unpack(source, root->get(), {.whiteouts = whiteouts, .limits = kLimits}, Cancel());
  const auto beside = sys::open(dir->path(), O_RDONLY | O_DIRECTORY);
  if (!beside) std::abort();
  const auto names = sys::list_directory(beside->get(), dir->path());
  if (!names || names->size() != 1) std::abort();  // something left the root
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  // The first byte chooses; an archive's own name begins behind it.
  read_all(bytes, (data[0] & 1) != 0 ? 100 : bytes.size() + 1);
  constexpr layer::Whiteouts kWhiteouts[] = {layer::Whiteouts::kOverlay, layer::Whiteouts::kApply,
                                             layer::Whiteouts::kLiteral};
  unpack_all(bytes, kWhiteouts[data[0] / 2 % 3]);
  return 0;
}
