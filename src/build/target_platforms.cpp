#include "build/target_platforms.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace slipway::build {
namespace {

/// Go's strconv.ParseBool.
std::optional<bool> parse_bool(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "FALSE", "false", "False"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, text) != kFalse.end()) return false;
  return std::nullopt;
}

}  // namespace

Result<TargetPlatforms> target_platforms(const Request& request) {
  TargetPlatforms out;
  for (const auto& platform : request.platforms)
    if (std::ranges::find(out.list, platform) == out.list.end()) out.list.push_back(platform);
  out.implicit = out.list.empty();
  if (out.implicit) out.list.push_back(oci::Platform::host());
  out.index = out.list.size() > 1;
  for (const auto& [name, value] : request.build_args) {
    if (name != "BUILDKIT_MULTI_PLATFORM" || value.empty()) continue;
    const auto wanted = parse_bool(value);
    if (!wanted) return fail(Code::kInvalidArgument, "invalid boolean value for multi-platform: {}", quoted(value, 64));
    if (!*wanted && out.list.size() > 1)
      return std::unexpected(
          Error(Code::kInvalidArgument, "conflicting config: returning multiple target platforms is not allowed")
              .with_hint("BUILDKIT_MULTI_PLATFORM is false and --platform names more than one"));
    out.index = *wanted;
  }
  return out;
}

std::string platform_folder(const oci::Platform& platform) {
  std::string folder = platform.full_text();
  std::ranges::replace(folder, '/', '_');
  return folder;
}

}  // namespace slipway::build
