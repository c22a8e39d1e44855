// Content-Range of an upload's piece, out of any bytes: what is taken for one has a place that a file can have.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "distribution/piece.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto piece = slipway::distribution::parse_piece({reinterpret_cast<const char*>(data), size});
  if (piece && (piece->begin < 0 || piece->end <= piece->begin || piece->size() < 1)) std::abort();
  return 0;
}
