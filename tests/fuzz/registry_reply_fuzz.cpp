// What a registry or its token server says beside images: errors, tokens, when to come back. What is shown of it is
// printable, and what goes into a header fits there.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "registry/retry.hpp"
#include "registry/token_reply.hpp"
#include "registry/transport.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char c : registry::message_of(text))
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
  if (const auto reply = registry::parse_token_reply(text)) {
    if (reply->token.empty() || reply->seconds < 1 || reply->seconds > 24 * 3600) std::abort();
    for (const char c : reply->token)
      if (c <= 0x20 || c >= 0x7f) std::abort();
  }
  const auto wait = registry::parse_retry_after(text, {.seconds = 1'700'000'000});
  if (wait && *wait < 0) std::abort();
  return 0;
}
