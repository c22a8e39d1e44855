// Notices: lines for people that come up where nobody listens; Client::take_notices() fetches them.
#pragma once

#include <string>
#include <vector>

#include "base/synced.hpp"

namespace slipway::registry {

struct Notices {
  Synced<std::vector<std::string>> lines;
};

}  // namespace slipway::registry
