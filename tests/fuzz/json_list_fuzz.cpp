// Fuzz target: the JSON form of instructions.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "dockerfile/json_list.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto list = slipway::dockerfile::parse_json_list(text);
  if (list.kind != slipway::dockerfile::JsonList::Kind::kStrings && !list.items.empty()) std::abort();
  std::size_t bytes = 0;
  for (const auto& item : list.items) bytes += item.size();
  if (bytes > 3 * size) std::abort();  // a byte that is no UTF-8 becomes three
  return 0;
}
