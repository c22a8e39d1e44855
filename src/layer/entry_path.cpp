#include "layer/entry_path.hpp"

#include "base/text.hpp"

namespace slipway::layer {

Result<std::string> clean_path(std::string_view raw, const Limits& limits) {
  std::string clean;
  clean.reserve(raw.size());
  for (std::string_view rest = raw; !rest.empty();) {
    const auto slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (clean.empty()) return fail(Code::kInvalidArgument, "the archive's path {} points outside", quoted(raw));
      const auto last = clean.rfind('/');
      clean.resize(last == std::string::npos ? 0 : last);
      continue;
    }
    if (name.size() > limits.name_bytes)
      return fail(Code::kOutOfRange, "a name of {} bytes is longer than {}: {}", name.size(), limits.name_bytes,
                  quoted(name, 64));
    if (!clean.empty()) clean += '/';
    clean += name;
  }
  if (clean.size() > limits.path_bytes)
    return fail(Code::kOutOfRange, "a path of {} bytes is longer than {}: {}", clean.size(), limits.path_bytes,
                quoted(clean, 64));
  return clean;
}

PathParts split_path_parts(std::string_view clean) {
  const auto slash = clean.rfind('/');
  if (slash == std::string_view::npos) return {"", std::string(clean)};
  return {std::string(clean.substr(0, slash)), std::string(clean.substr(slash + 1))};
}

}  // namespace slipway::layer
