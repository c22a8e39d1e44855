#include "distribution/via.hpp"

#include <sys/random.h>

#include <algorithm>

#include "base/text.hpp"

namespace slipway::distribution {
namespace {

constexpr std::string_view kPrefix = "slipway-";
constexpr std::size_t kBytes = 16;

bool is_mirror(std::string_view name) {
  return name.size() == kPrefix.size() + 2 * kBytes && name.starts_with(kPrefix) &&
         std::ranges::all_of(name.substr(kPrefix.size()),
                             [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Result<std::string> mirror_name() {
  std::string bytes(kBytes, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != std::ssize(bytes)) return fail_errno("cannot make a mirror's name");
  return std::string(kPrefix) + hex(bytes);
}

std::vector<std::string> mirrors_of(const std::vector<std::string>& headers) {
  std::vector<std::string> found;
  for (const auto& header : headers)
    for (const std::string_view entry : split(header, ',')) {
      // received-protocol, received-by, perhaps a comment
      std::string_view rest = trim(entry);
      rest = trim(rest.substr(std::min(rest.find_first_of(" \t"), rest.size())));
      const std::string_view name = rest.substr(0, rest.find_first_of(" \t"));
      if (is_mirror(name) && found.size() <= kMostMirrors) found.emplace_back(name);
    }
  return found;
}

std::string via_header(const std::vector<std::string>& before, std::string_view own) {
  std::string text;
  for (const auto& name : before) text += "1.1 " + name + ", ";
  return text + "1.1 " + std::string(own);
}

}  // namespace slipway::distribution
