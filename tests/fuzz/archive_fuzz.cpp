// Fuzz target: bzip2, xz, gzip and zstd streams of ADD and contexts, and the tar in them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "build/context_archive.hpp"
#include "layer/codec.hpp"
#include "layer/tar_reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)slipway::build::looks_like_archive(text.substr(0, slipway::build::kArchiveHead));
  const auto plain = slipway::layer::archive_decoder([&, at = std::size_t{0}](char* to, std::size_t room) mutable {
    const std::size_t count = text.copy(to, room, at);
    at += count;
    return slipway::Result<std::size_t>(count);
  });
  if (!plain) return 0;
  std::string buffer(64 << 10, '\0');
  std::size_t left = 4 << 20;
  slipway::layer::TarReader reader(
      [&]() -> slipway::Result<std::string_view> {
        const std::size_t got = TRY((*plain)(buffer.data(), std::min(left, buffer.size())));
        left -= got;
        return std::string_view(buffer).substr(0, got);
      },
      {});
  slipway::layer::Entry entry;
  for (auto more = reader.next(entry); more && *more; more = reader.next(entry)) {
    if (entry.size < 0) std::abort();
  }
  return 0;
}
