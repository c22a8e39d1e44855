// Password files, Authorization headers and repository paths: whatever comes, they end, and what is taken is what it
// says.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "distribution/htpasswd.hpp"
#include "distribution/route.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto users = distribution::parse_htpasswd(text)) {
    for (const auto& [user, hash] : *users)
      if (user.empty() || user.find(':') != std::string::npos || hash.size() != 60) std::abort();
  }
  if (const auto credentials = distribution::parse_basic(text)) {
    if (credentials->user.empty() || credentials->user.find(':') != std::string::npos ||
        credentials->password.find('\0') != std::string::npos)
      std::abort();
  }
  if (const auto route = distribution::route_of(text)) {
    if (!route->repository.empty() && !distribution::is_repository_name(route->repository)) std::abort();
  }
  return 0;
}
