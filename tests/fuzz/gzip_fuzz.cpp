// Any bytes as a gzip stream: read in two step sizes, which must agree; and a round trip of the bytes themselves.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "layer/codec.hpp"

namespace {

using namespace slipway;

constexpr std::size_t kOutputLimit = 4 << 20;  // a bomb is the caller's to stop

/// The plain bytes; nothing for a broken stream or one of more than kOutputLimit, which may break behind it.
std::optional<std::string> decompress(std::string_view bytes, std::size_t step, std::size_t room) {
  const auto source = layer::decoder([&, step](char* to, std::size_t size) -> Result<std::size_t> {
    const auto take = std::min({size, step, bytes.size()});
    std::copy_n(bytes.data(), take, to);
    bytes.remove_prefix(take);
    return take;
  });
  if (!source) return std::nullopt;
  std::string out;
  std::string buffer(room, '\0');
  while (out.size() < kOutputLimit) {
    const auto got = (*source)(buffer.data(), std::min(buffer.size(), kOutputLimit - out.size()));
    if (!got) return std::nullopt;
    if (*got == 0) return out;
    out.append(buffer, 0, *got);
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string stream(bytes);
  if (!stream.starts_with("\x1f\x8b")) stream.insert(0, "\x1f\x8b");
  if (decompress(stream, stream.size(), 64 * 1024) != decompress(stream, 3, 1000)) std::abort();

  std::string packed;
  const auto encode = layer::encoder(oci::Compression::kGzip, [&](std::string_view part) -> Status {
    packed += part;
    return {};
  });
  if (!encode->write(bytes) || !encode->finish()) std::abort();
  if (decompress(packed, packed.size(), 64 * 1024) != bytes) std::abort();
  return 0;
}
