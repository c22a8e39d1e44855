// Json and JsonWriter: any bytes are read without a crash, and a document written from what was read reads the same.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "oci/canonical_json.hpp"
#include "oci/json.hpp"

using namespace slipway::oci;

namespace {

std::string copy_of(const Json& json, int depth) {
  JsonWriter out;
  if (depth > 64) std::abort();
  switch (json.kind()) {
    case Json::Kind::kNull:
      out.null();
      break;
    case Json::Kind::kBool:
      out.value(json.as_bool().value());
      break;
    case Json::Kind::kNumber:
      out.value(json.as_int64().value_or(0));
      break;
    case Json::Kind::kString:
      out.value(json.as_string().value());
      break;
    case Json::Kind::kArray:
      out.begin_array();
      for (const Json child : json.children()) out.raw(copy_of(child, depth + 1));
      out.end_array();
      break;
    case Json::Kind::kObject:
      out.begin_object();
      for (const Json child : json.children()) {
        out.key(child.key());
        out.raw(copy_of(child, depth + 1));
      }
      out.end_object();
      break;
  }
  return out.take();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = Json::parse(text, {.bytes = 1 << 20});
  if (!json) {
    for (const char c : json.error().message())
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
    return 0;
  }
  for (const Json child : json->children()) {
    (void)child.path();
    (void)child.as_int63();
    (void)child.as_strings();
    (void)json->find(child.key());
  }
  (void)json->refuse_lookalikes({"mediaType", "size"});
  const std::string once = copy_of(*json, 0);
  const auto again = Json::parse(once, {.bytes = 64 << 20});
  if (!again || copy_of(*again, 0) != once) std::abort();
  return 0;
}
