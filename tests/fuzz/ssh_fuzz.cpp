// A step's message to an agent, and a file that is given as a private key: what passes is whole, and nothing crashes.
#include "base/error.hpp"
#include "ssh/agent.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto request = slipway::ssh::parse_request(bytes)) {
    const std::size_t inside = request->key.size() + request->data.size();
    if (request->kind == slipway::ssh::Request::Kind::kList ? size != 1 : size != inside + 13) __builtin_trap();
    if ((request->flags & ~6U) != 0) __builtin_trap();
  }
  if (const auto key = slipway::ssh::PrivateKey::parse(bytes); key && key->sign("x", 4)->empty()) __builtin_trap();
  return 0;
}
