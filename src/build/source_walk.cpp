#include "build/source_walk.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "dockerfile/go_match.hpp"

namespace slipway::build {
namespace {

constexpr std::string_view kSpecial = "*?[\\";

}  // namespace

Result<Include> Include::parse(const std::string& pattern) {
  const std::string cleaned = clean_rooted(pattern);
  Include include(TRY(dockerfile::Matcher::from_patterns({cleaned})));
  include.text_ = cleaned;
  for (const auto part : split(cleaned, '/'))
    if (!part.empty()) include.parts_.emplace_back(part);
  include.plain_ = cleaned.find_first_of(kSpecial) == std::string::npos;
  include.open_from_ = static_cast<std::size_t>(
      std::ranges::find_if(include.parts_, [](const std::string& part) { return part.contains("**"); }) -
      include.parts_.begin());
  return include;
}

bool Include::reaches_below(std::size_t depth, const std::string& name) const {
  if (open_from_ < parts_.size() && depth >= open_from_) return true;
  if (depth + 1 >= parts_.size()) return false;
  return dockerfile::go_match(parts_[depth], name).value_or(false);
}

const std::string* Include::only_name(std::size_t depth) const {
  if (depth >= open_from_ || depth >= parts_.size()) return nullptr;
  const std::string& part = parts_[depth];
  return part.find_first_of(kSpecial) == std::string::npos ? &part : nullptr;
}

Result<SourceWalk> SourceWalk::open(const Tree& tree, const Tree::Directory& root, const Selection& selection) {
  SourceWalk walk(tree, selection);
  Frame frame{.directory = root};
  frame.children = TRY(walk.children_of(root, 0, selection.include == nullptr));
  walk.stack_.push_back(std::move(frame));
  return walk;
}

Result<std::vector<layer::MergedDir::Child>> SourceWalk::children_of(const Tree::Directory& directory,
                                                                     std::size_t depth, bool taken) const {
  const std::string* only = taken || selection_.include == nullptr ? nullptr : selection_.include->only_name(depth);
  if (only == nullptr) return tree_.list(directory);
  // The way to a few files must not read a million others.
  std::vector<layer::MergedDir::Child> children;
  if (const auto found = TRY(tree_.find(directory, *only))) children.push_back({*only, *found});
  return children;
}

SourceWalk::Judged SourceWalk::judge(const Frame& frame, const layer::MergedDir::Child& child,
                                     const std::string& path) const {
  Judged judged;
  if (selection_.include) {
    judged.included = selection_.include->judge(frame.included, path);
    judged.taken = selection_.include->takes(judged.included);
    judged.may_lead = judged.taken || selection_.include->reaches_below(depth(), child.name);
  }
  if (selection_.excludes) {
    judged.excluded = selection_.excludes->judge(frame.excluded, path);
    if (selection_.excludes->excluded(judged.excluded)) {
      judged.taken = false;
      judged.may_lead = judged.may_lead && !selection_.excludes->can_prune(judged.excluded, path);
    }
  }
  return judged;
}

Result<bool> SourceWalk::next(Step& step) {
  for (;;) {
    if (announced_ < wanted_) {
      announce_directory(step);
      return true;
    }
    if (held_) {
      announce_entry(step);
      return true;
    }
    Frame& frame = stack_.back();
    if (frame.next < frame.children.size()) {
      TRY(look_at(std::move(frame.children[frame.next++])));
      continue;
    }
    if (stack_.size() == 1) return false;
    stack_.pop_back();
    if (announced_ <= stack_.size()) continue;
    announced_ = wanted_ = stack_.size();
    step.kind = Kind::kUp;
    return true;
  }
}

Status SourceWalk::look_at(layer::MergedDir::Child child) {
  const Frame& frame = stack_.back();
  std::string path = join_path(frame.path, child.name);
  const Judged judged = judge(frame, child, path);
  if (!S_ISDIR(child.found.info.st_mode)) {
    if (!judged.taken) return {};
    held_.emplace(std::move(child), std::move(path));
    wanted_ = stack_.size();
    return {};
  }
  if (!judged.taken && !judged.may_lead) return {};
  Frame below{.directory = {TRY(frame.directory.dir.enter(child.name)), join_path(frame.directory.path, child.name)}};
  // What --parents only leads through may be listed by name; in what it takes, every name counts.
  const bool whole = selection_.include == nullptr || selection_.include->takes(judged.included);
  below.children = TRY(children_of(below.directory, depth() + 1, whole));
  below.name = std::move(child.name);
  below.path = std::move(path);
  below.found = child.found;
  below.selected = judged.taken && selection_.include == nullptr;
  below.excluded = judged.excluded;
  below.included = judged.included;
  stack_.push_back(std::move(below));
  if (judged.taken) wanted_ = stack_.size();
  return {};
}

void SourceWalk::announce_directory(Step& step) {
  const Frame& frame = stack_[announced_];
  step.kind = Kind::kDirectory;
  step.name = frame.name;
  step.path = frame.path;
  step.found = frame.found;
  step.parent = &stack_[announced_ - 1].directory.dir;
  step.directory = &frame.directory;
  step.selected = frame.selected;
  ++announced_;
}

void SourceWalk::announce_entry(Step& step) {
  step.kind = Kind::kEntry;
  step.name = std::move(held_->child.name);
  step.path = std::move(held_->path);
  step.found = held_->child.found;
  step.parent = &stack_.back().directory.dir;
  step.directory = nullptr;
  step.selected = true;
  held_.reset();
}

}  // namespace slipway::build
