// Via: the mirrors that a request has come through (RFC 9110 section 7.6.3), so that a mirror that is asked by itself,
// perhaps by way of others, refuses instead of waiting for itself. A mirror's name is made anew for each process, of
// random digits: it says nothing of the machine.
//
//   Via: 1.1 slipway-3f…, 1.1 slipway-a0…
//
// Other programs' entries are neither kept nor passed on: they may name machines of the network that they came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::distribution {

/// So many mirrors one behind the other are a loop of something that has no name.
inline constexpr std::size_t kMostMirrors = 16;

/// A name for this process: "slipway-" and 32 hexadecimal digits.
[[nodiscard]] Result<std::string> mirror_name();

/// The mirrors that the Via headers of a request name, at most kMostMirrors + 1.
[[nodiscard]] std::vector<std::string> mirrors_of(const std::vector<std::string>& headers);

/// The Via header of a question to the upstream.
[[nodiscard]] std::string via_header(const std::vector<std::string>& before, std::string_view own);

}  // namespace slipway::distribution
