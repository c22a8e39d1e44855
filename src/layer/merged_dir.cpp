#include "layer/merged_dir.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "layer/owner.hpp"
#include "layer/whiteout.hpp"
#include "sys/file.hpp"

namespace slipway::layer {
namespace {

Result<bool> is_opaque(int dir) {
  const auto value = TRY(sys::get_xattr(dir, kOpaqueXattr, "a directory of a snapshot"));
  return value == "y";
}

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

}  // namespace

Result<MergedDir> MergedDir::open(const std::vector<int>& layers, Kind kind) {
  auto opened = std::make_shared<Layers>();
  for (const int layer : layers) {
    sys::Fd fd = TRY(sys::open_at(layer, ".", O_RDONLY | O_DIRECTORY));
    const bool last = kind == Kind::kSnapshots && TRY(is_opaque(fd.get()));
    opened->fds.push_back(std::move(fd));
    if (last) break;
  }
  if (opened->fds.empty()) return fail(Code::kInvalidArgument, "a merged directory needs a layer");
  return MergedDir(std::move(opened), kind);
}

Result<MergedDir> MergedDir::open_paths(const std::vector<std::string>& layers, Kind kind) {
  std::vector<sys::Fd> fds;
  std::vector<int> numbers;
  for (const auto& layer : layers) {
    fds.push_back(TRY(sys::open(layer, O_RDONLY | O_DIRECTORY)));
    numbers.push_back(fds.back().get());
  }
  return open(numbers, kind);
}

Result<std::optional<MergedDir::Found>> MergedDir::find(const std::string& name) const {
  for (std::size_t i = 0; i < layers_->fds.size(); ++i) {
    const auto info = TRY(sys::lstat_at(layers_->fds[i].get(), name));
    if (!info) continue;
    Found found{*info, i};
    if (kind_ == Kind::kPlain) return found;
    if (is_whiteout(*info)) return std::nullopt;
    TRY(recall_owner_at(layers_->fds[i].get(), name, found.info));
    return found;
  }
  return std::nullopt;
}

Result<MergedDir> MergedDir::enter(const std::string& name) const {
  auto entered = std::make_shared<Layers>();
  for (const auto& layer : layers_->fds) {
    const auto info = TRY(sys::lstat_at(layer.get(), name));
    if (!info) continue;
    if (!S_ISDIR(info->st_mode)) break;  // a whiteout or another file hides what is below
    sys::Fd fd = TRY(sys::open_at(layer.get(), name, kDirectory));
    const bool last = kind_ == Kind::kSnapshots && layers_->fds.size() > 1 && TRY(is_opaque(fd.get()));
    entered->fds.push_back(std::move(fd));
    if (last) break;
  }
  if (entered->fds.empty()) return fail(Code::kNotFound, "{} is not a directory", quoted(name));
  return MergedDir(std::move(entered), kind_);
}

Result<std::vector<MergedDir::Child>> MergedDir::list(const std::function<bool(const std::string&)>& wanted) const {
  std::vector<Child> children;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < layers_->fds.size(); ++i) {
    const int fd = layers_->fds[i].get();
    for (auto& name : TRY(sys::list_directory(fd, "a directory"))) {
      if (layers_->fds.size() > 1 && !seen.insert(name).second) continue;
      if (wanted && !wanted(name)) continue;
      const auto info = TRY(sys::lstat_at(fd, name));
      if (!info) continue;  // it went away between the two calls: a context may be edited meanwhile
      Found found{*info, i};
      if (kind_ == Kind::kSnapshots) {
        if (is_whiteout(*info)) continue;
        TRY(recall_owner_at(fd, name, found.info));
      }
      children.push_back({std::move(name), found});
    }
  }
  std::sort(children.begin(), children.end(), [](const Child& a, const Child& b) { return a.name < b.name; });
  return children;
}

Result<sys::Fd> MergedDir::open_child(const std::string& name, const Found& found) const {
  return sys::open_at(layers_->fds[found.layer].get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

Status MergedDir::link_child(const std::string& name, const Found& found, int to) const {
  if (::linkat(layers_->fds[found.layer].get(), name.c_str(), to, name.c_str(), 0) == 0) return {};
  return fail_errno("cannot link {}", quoted(name));
}

Result<std::string> MergedDir::read_link(const std::string& name, const Found& found) const {
  return sys::readlink_at(layers_->fds[found.layer].get(), name);
}

}  // namespace slipway::layer
