#include "registry/token_reply.hpp"

#include <algorithm>

#include "oci/json.hpp"

namespace slipway::registry {
namespace {

constexpr std::size_t kTokenLimit = 32 * 1024;  // it must fit a header line that servers accept
constexpr std::int64_t kDefaultLifetime = 60;   // token.md: when expires_in is missing
constexpr std::int64_t kLongestLifetime = 24 * 3600;

/// A token goes into a header as it is.
bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kTokenLimit &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

Result<TokenReply> parse_token_reply(std::string_view body) {
  const auto document = TRY(oci::Json::parse(body, {.bytes = kTokenReplyLimit, .depth = 16}));
  TokenReply reply;
  reply.token = TRY(document.string("token"));
  if (reply.token.empty()) reply.token = TRY(document.string("access_token"));
  if (!is_token(reply.token)) return fail(Code::kDataLoss, "it holds no usable token");
  const std::int64_t seconds = TRY(document.int63("expires_in"));
  reply.seconds = seconds == 0 ? kDefaultLifetime : std::min(seconds, kLongestLifetime);
  return reply;
}

}  // namespace slipway::registry
