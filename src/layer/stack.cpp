#include "layer/stack.hpp"

#include <map>

#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::layer {

Result<sys::Fd> open_directory_beneath(int dir, const std::string& path) {
  return sys::open_beneath(dir, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
}

Result<bool> is_opaque(int dir, const std::string& path) {
  const auto value = TRY(sys::get_xattr(dir, kOpaqueXattr, path));
  return value && *value == "y";
}

Parts Stack::all() const {
  Parts parts;
  for (std::size_t i = 0; i < layers_.size(); ++i) parts.push_back(static_cast<std::uint16_t>(i));
  return parts;
}

Result<sys::Fd> Stack::open_directory(std::uint16_t layer, const std::string& path) const {
  return open_directory_beneath(layers_[layer], path);
}

Result<std::vector<MergedChild>> Stack::children(const std::string& path, const Parts& parts) const {
  struct Seen {
    MergedChild child;
    bool visible = false;
    bool closed = false;  // layers further down have no part in this name
  };
  std::map<std::string, Seen> seen;
  for (const auto layer : parts) {
    const sys::Fd dir = TRY(open_directory(layer, path));
    for (auto& name : TRY(sys::list_directory(dir.get(), path))) {
      const auto known = seen.find(name);
      if (known != seen.end() && known->second.closed) continue;
      const auto info = TRY(sys::lstat_at(dir.get(), name));
      if (!info) continue;
      const bool directory = S_ISDIR(info->st_mode);
      Seen& entry = known != seen.end() ? known->second : seen[name];
      if (known == seen.end() && !is_whiteout(*info)) {
        entry.visible = true;
        entry.child = {.name = std::move(name), .info = *info, .layer = layer, .parts = {}};
      }
      entry.closed = !directory;
      if (directory) entry.child.parts.push_back(layer);
    }
    if (TRY(is_opaque(dir.get(), path))) break;
  }
  std::vector<MergedChild> children;
  for (auto& [name, entry] : seen)
    if (entry.visible) children.push_back(std::move(entry.child));
  return children;
}

}  // namespace slipway::layer
