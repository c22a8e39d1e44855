// Notices: lines for people that come up where nobody listens; Client::take_notices() fetches them. That of a wait can
// not wait itself: it goes to whoever listens at once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/synced.hpp"

namespace slipway::registry {

struct Notices {
  Synced<std::vector<std::string>> lines;
  Synced<std::function<void(const std::string& line)>> wait_listener;
};

}  // namespace slipway::registry
