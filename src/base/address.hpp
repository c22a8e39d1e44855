// How an address that somebody wrote is shown: what stands before its '@' is a secret more often than not.
#pragma once

#include <string>
#include <string_view>

namespace slipway {

/// The user information of "[scheme://]user:password@host…": everything before the '@'. Empty when there is none; the
/// '@' of an image's digest ("app@sha256:…") is no such thing.
[[nodiscard]] std::string_view user_information(std::string_view address);

/// quoted() with "***" in place of the user information.
[[nodiscard]] std::string quoted_address(std::string_view address, std::size_t limit = 300);

}  // namespace slipway
