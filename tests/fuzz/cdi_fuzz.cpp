// A CDI specification as JSON and as YAML: what is read names absolute paths only.
#include "base/error.hpp"
#include "build/cdi.hpp"
#include "build/yaml.hpp"

namespace {

void check(const slipway::Result<std::vector<slipway::build::CdiDevice>>& devices) {
  if (!devices) return;
  for (const auto& device : *devices)
    for (const auto& mount : device.edits.mounts)
      if (!mount.path.starts_with('/') || !mount.target.starts_with('/')) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(slipway::build::parse_cdi(text));
  if (const auto json = slipway::build::json_of_yaml(text)) check(slipway::build::parse_cdi(*json));
  return 0;
}
