// Frames of the agent protocol on a socket: `length:uint32 bytes`, at most kMessageLimit.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.hpp"
#include "base/error.hpp"

namespace slipway::ssh {

/// Sends one frame; waits for the other side, but not beyond `cancel`.
[[nodiscard]] Status send_frame(int socket, std::string_view message, const Cancel& cancel);

/// One frame without its length; nothing at an orderly end. Errors: an empty or oversized one, an end in its middle.
[[nodiscard]] Result<std::optional<std::string>> receive_frame(int socket, const Cancel& cancel);

}  // namespace slipway::ssh
