// Fuzz target: directives at the top of a Dockerfile, and what check= says.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "dockerfile/directive.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  using namespace slipway::dockerfile;
  (void)is_built_in_syntax(text);
  (void)parse_check(text);
  Directives directives;
  (void)read_directive(text, 1, directives);
  const auto second = read_directive(text, 2, directives);
  if (second && *second && !text.empty() && directives.escape != '\\' && directives.escape != '`') std::abort();
  return 0;
}
