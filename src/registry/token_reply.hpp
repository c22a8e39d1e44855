// TokenReply: what a token server answers (distribution's token.md "Token Response Fields").
//
//   const TokenReply reply = TRY(parse_token_reply(R"({"token": "abc", "expires_in": 300})"));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::registry {

inline constexpr std::int64_t kTokenReplyLimit = 256 * 1024;  ///< bytes of an answer

struct TokenReply {
  std::string token;         ///< may stand in a header as it is
  std::int64_t seconds = 0;  ///< that it is good for; at least one, at most a day
};

/// kDataLoss for one without a usable token, and what Json::parse says of one that is no JSON.
[[nodiscard]] Result<TokenReply> parse_token_reply(std::string_view body);

}  // namespace slipway::registry
