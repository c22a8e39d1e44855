// Fuzz target: NAME=VALUE of --build-context and the address of an OCI layout.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "build/named_context.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  using namespace slipway::build;
  const std::string name = canonical_context_name(text);
  if (canonical_context_name(name) != name) std::abort();
  const LayoutAddress address = LayoutAddress::parse(text);
  if (address.directory.size() > text.size() || address.tag.contains('/')) std::abort();
  const auto context = NamedContext::parse(text);
  if (!context) return context.error().what().empty() ? std::abort(), 0 : 0;
  if (context->name.empty() || context->value.empty()) std::abort();
  if (canonical_context_name(context->name) != context->name) std::abort();
  return 0;
}
