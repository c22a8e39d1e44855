// Fuzz target: one --mount of RUN, its CSV and its values.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/csv.hpp"
#include "dockerfile/mount.hpp"

namespace {

using namespace slipway::dockerfile;

std::optional<std::string> lookup(std::string_view name) {
  if (name == "x") return "a,b=c";
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto fields = slipway::csv_fields(text);
  const auto mount = parse_mount(text, '\\', lookup);
  (void)parse_mount(text, '`', lookup);
  const std::string from = mount_source_of(text);
  if (!mount) return mount.error().what().empty() ? std::abort(), 0 : 0;
  if (!fields || mount->from != from || mount->size < 0) std::abort();
  if (mount->mode && *mount->mode > 07777) std::abort();
  return 0;
}
