#include "build/tree.hpp"

#include <deque>

#include "base/text.hpp"
#include "dockerfile/go_match.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr int kMaxLinks = 40;
constexpr std::size_t kMaxPath = 4096;

void prepend(std::deque<std::string>& rest, std::string_view path) {
  const auto parts = split(path, '/');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part)
    if (!part->empty() && *part != ".") rest.emplace_front(*part);
}

std::string joined(const std::vector<std::string>& parts) { return join(parts, "/"); }

}  // namespace

std::string join_path(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

std::string clean_rooted(std::string_view path) {
  std::vector<std::string> parts;
  for (const auto part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else {
      parts.emplace_back(part);
    }
  }
  return joined(parts);
}

Result<Tree::Resolved> Tree::resolve(const std::string& path, FollowLast follow) const {
  if (path.size() > kMaxPath) return fail(Code::kInvalidArgument, "the path {} is too long", quoted(path, 128));
  std::deque<std::string> rest;
  prepend(rest, path);
  std::vector<std::string> names;        // of the directories entered
  std::vector<Directory> stack{root()};  // one more than names
  int links = 0;
  std::optional<Found> found;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name == "..") {
      if (!names.empty()) {
        names.pop_back();
        stack.pop_back();
      }
      continue;
    }
    found = TRY(find(stack.back(), name));
    const bool last = rest.empty();
    if (found && S_ISLNK(found->info.st_mode) && (!last || follow == FollowLast::kYes)) {
      if (++links > kMaxLinks)
        return fail(Code::kInvalidArgument, "too many levels of symbolic links in {}", quoted(path));
      const std::string target = TRY(stack.back().dir.read_link(name, *found));
      if (target.starts_with('/')) {
        names.clear();
        stack.resize(1, root());
      }
      prepend(rest, target);
      found.reset();
      continue;
    }
    if (found && S_ISDIR(found->info.st_mode) && !last) {
      stack.push_back({TRY(stack.back().dir.enter(name)), join_path(stack.back().path, name)});
      names.push_back(name);
      continue;
    }
    if (last) return Resolved{join_path(joined(names), name), found, stack.back()};
    // Missing, or a file used as a directory: the rest is only text.
    names.push_back(name);
    for (auto& part : rest) {
      if (part != "..")
        names.push_back(std::move(part));
      else if (!names.empty())
        names.pop_back();
    }
    return Resolved{joined(names), std::nullopt, std::nullopt};
  }
  // Ended on a directory that was entered (the root, "..", or a link to a directory).
  Resolved at{joined(names), std::nullopt, std::nullopt};
  struct stat info{};
  if (::fstat(stack.back().dir.top(), &info) < 0) return fail_errno("cannot stat {}", quoted(path));
  at.found = Found{info, 0};
  if (stack.size() > 1) {
    at.parent = stack[stack.size() - 2];
    at.found = TRY(at.parent->dir.find(names.back()));
  }
  return at;
}

Result<Tree::Directory> Tree::open_directory(const Resolved& at) const {
  if (at.path.empty()) return root();
  if (!at.parent) return fail(Code::kNotFound, "{} is not there", quoted("/" + at.path));
  return Directory{TRY(at.parent->dir.enter(at.name())), at.path};
}

std::function<bool(const std::string&)> Tree::may_show(const Directory& directory) const {
  return [this, &directory](const std::string& name) {
    const std::string path = join_path(directory.path, name);
    return !filter_->excluded(path) || !filter_->prunable(path);
  };
}

std::optional<bool> Tree::Remembered::find(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = shown_.find(path);
  return found == shown_.end() ? std::nullopt : std::optional(found->second);
}

void Tree::Remembered::keep(const std::string& path, bool shown) {
  const std::lock_guard lock(mutex_);
  shown_.insert_or_assign(path, shown);
}

Result<bool> Tree::visible(const Directory& parent, const std::string& name, bool is_directory) const {
  if (!filter_) return true;
  const std::string path = join_path(parent.path, name);
  if (!filter_->excluded(path)) return true;
  if (!is_directory || filter_->prunable(path)) return false;
  // Excluded, but something below may be included again: then the directory is there for its sake.
  if (const auto known = remembered_->find(path)) return *known;
  const bool shown = TRY(holds_included(parent, name, path));
  remembered_->keep(path, shown);
  return shown;
}

Result<bool> Tree::holds_included(const Directory& parent, const std::string& name, const std::string& path) const {
  std::vector<Directory> pending;
  pending.push_back({TRY(parent.dir.enter(name)), path});
  while (!pending.empty()) {
    const Directory directory = std::move(pending.back());
    pending.pop_back();
    for (const auto& child : TRY(directory.dir.list(may_show(directory)))) {
      const std::string below = join_path(directory.path, child.name);
      if (!filter_->excluded(below)) return true;
      if (S_ISDIR(child.found.info.st_mode) && !filter_->prunable(below))
        pending.push_back({TRY(directory.dir.enter(child.name)), below});
    }
  }
  return false;
}

Result<std::vector<layer::MergedDir::Child>> Tree::list(const Directory& directory) const {
  if (!filter_) return directory.dir.list();
  auto children = TRY(directory.dir.list(may_show(directory)));
  std::vector<layer::MergedDir::Child> kept;
  for (auto& child : children)
    if (TRY(visible(directory, child.name, S_ISDIR(child.found.info.st_mode)))) kept.push_back(std::move(child));
  return kept;
}

Result<std::optional<Tree::Found>> Tree::find(const Directory& directory, const std::string& name) const {
  auto found = TRY(directory.dir.find(name));
  if (found && !TRY(visible(directory, name, S_ISDIR(found->info.st_mode)))) found.reset();
  return found;
}

Result<std::optional<std::string>> Tree::read_small_file(const std::string& path, std::int64_t limit) const {
  const Resolved at = TRY(resolve(path, FollowLast::kYes));
  if (!at.found || !S_ISREG(at.found->info.st_mode)) return std::nullopt;
  const sys::Fd fd = TRY(at.parent->dir.open_child(at.name(), *at.found));
  return TRY(context(sys::read_all(fd.get(), limit), "while reading {}", quoted("/" + at.path)));
}

Result<std::vector<std::string>> Tree::glob(const std::string& pattern) const {
  const std::string cleaned = clean_rooted(pattern);
  if (!dockerfile::has_wildcard(pattern)) {
    const Resolved at = TRY(resolve(cleaned, FollowLast::kNo));
    return at.found ? std::vector{cleaned} : std::vector<std::string>{};
  }
  // Component by component: only directories that can match are read.
  std::vector<std::string> matched{""};
  const auto parts = split(cleaned, '/');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::vector<std::string> next;
    for (const auto& base : matched) {
      const Resolved at = TRY(resolve(base, FollowLast::kYes));
      if (!at.found || !S_ISDIR(at.found->info.st_mode)) continue;
      for (const auto& child : TRY(list(TRY(open_directory(at)))))
        if (TRY(dockerfile::go_match(parts[i], child.name))) next.push_back(join_path(base, child.name));
    }
    matched = std::move(next);
  }
  return matched;
}

}  // namespace slipway::build
