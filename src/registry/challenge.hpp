// WWW-Authenticate (RFC 7235 section 4.1): what a server wants to see before it answers.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::registry {

struct Challenge {
  std::string scheme;                             ///< lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  ///< names in lower case; the first of a name counts
};

/// All challenges of one header value, in order. Reads what can be read and stops at the first thing that is none: the
/// text comes from anybody.
[[nodiscard]] std::vector<Challenge> parse_challenges(std::string_view value);

}  // namespace slipway::registry
