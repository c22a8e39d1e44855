#include <algorithm>
#include <map>
#include <set>

#include "base/text.hpp"
#include "layer/layer.hpp"
#include "layer/member_writer.hpp"
#include "layer/stack.hpp"
#include "layer/tree_file.hpp"
#include "sys/file.hpp"

namespace slipway::layer {
namespace {

/// A step of the walk through one directory: a child is written, or a directory that was written is entered. Sorting
/// these by "name" and "name/" gives the bytewise order of whole paths ("a", "a.b", "a/b") without a list of them.
struct Visit {
  std::string key;
  std::size_t child = 0;
  bool enter = false;
};

struct Frame {
  std::string path;  ///< "" or with a slash at its end
  std::vector<MergedChild> children;
  std::vector<Visit> visits;
  std::size_t next = 0;
};

/// The open directory of the layer that files were last read from: children of one directory come mostly from one
/// layer.
class Parent {
 public:
  explicit Parent(const Stack& stack) : stack_(stack) {}
  Result<int> open(std::uint16_t layer, const std::string& path) {
    if (!fd_ || layer != layer_ || path != path_) {
      fd_ = TRY(stack_.open_directory(layer, path));
      layer_ = layer;
      path_ = path;
    }
    return fd_.get();
  }

 private:
  const Stack& stack_;
  sys::Fd fd_;
  std::uint16_t layer_ = 0;
  std::string path_;
};

Result<Frame> make_frame(const Stack& stack, const std::string& path, const Parts& parts) {
  auto children = TRY(stack.children(path, parts));
  Frame frame{.path = path.empty() ? "" : path + "/", .children = std::move(children), .visits = {}};
  for (std::size_t i = 0; i < frame.children.size(); ++i) {
    const auto& child = frame.children[i];
    frame.visits.push_back({.key = child.name, .child = i});
    if (S_ISDIR(child.info.st_mode)) frame.visits.push_back({.key = child.name + "/", .child = i, .enter = true});
  }
  std::sort(frame.visits.begin(), frame.visits.end(), [](const Visit& a, const Visit& b) { return a.key < b.key; });
  return frame;
}

/// What was written of trees that become one: path → the tree that it is of, and whether it is a directory.
class Taken {
 public:
  /// False for a directory that is there already.
  Result<bool> take(const std::string& path, bool directory, const std::string& tree) {
    const auto [there, fresh] = paths_.try_emplace(path, tree, directory);
    if (fresh) return true;
    if (directory && there->second.second) return false;
    return fail(Code::kInvalidArgument, "cannot overwrite {} from {} with {} when split option is disabled",
                printable(path), there->second.first, tree);
  }

 private:
  std::map<std::string, std::pair<std::string, bool>> paths_;
};

/// The walk through one tree.
class Walk {
 public:
  /// `taken`: null for a tree that shares its directory with no other. `number`: of the tree, tells apart its inodes.
  Walk(const NamedTree& tree, int number, Taken* taken, MemberWriter& writer)
      : tree_(tree), stack_(tree.layers), parent_(stack_), number_(number), taken_(taken), writer_(writer) {}

  Status run() {
    std::vector<Frame> frames;  // from the root down; no recursion, the tree may be deep
    frames.push_back(TRY(make_frame(stack_, "", stack_.all())));
    while (!frames.empty()) {
      Frame& frame = frames.back();
      if (frame.next == frame.visits.size()) {
        frames.pop_back();
        continue;
      }
      const Visit& visit = frame.visits[frame.next++];
      const MergedChild& child = frame.children[visit.child];
      if (!visit.enter) {
        TRY(write_child(frame, child));
      } else {
        Frame inner = TRY(make_frame(stack_, frame.path + child.name, child.parts));
        frames.push_back(std::move(inner));
      }
    }
    return {};
  }

 private:
  Status write_child(const Frame& frame, const MergedChild& child) {
    const std::string above = frame.path.empty() ? "" : frame.path.substr(0, frame.path.size() - 1);
    const std::string below = tree_.directory.empty() ? "" : tree_.directory + "/";
    const std::string path = below + frame.path + child.name;
    if (taken_ != nullptr && !TRY(taken_->take(path, S_ISDIR(child.info.st_mode), tree_.name))) return {};
    const int dir = TRY(parent_.open(child.layer, above));
    auto file = TRY(open_tree_file(dir, child.name, child.info, path));
    constexpr int kLayers = 1 << 16;  // of a tree at most: a layer's number has 16 bits
    return file ? writer_.add(*std::move(file), number_ * kLayers + child.layer) : Status();
  }

  const NamedTree& tree_;
  const Stack stack_;
  Parent parent_;
  int number_;
  Taken* taken_;
  MemberWriter& writer_;
};

}  // namespace

Result<Written> write_merged(const std::vector<int>& layers, const Target& target, const Cancel& cancel) {
  return write_trees({{.name = "", .directory = "", .layers = layers}}, target, cancel);
}

Result<Written> write_trees(const std::vector<NamedTree>& trees, const Target& target, const Cancel& cancel) {
  MemberWriter writer(target, std::nullopt, cancel);
  std::map<std::string, int> sharing;
  for (const auto& tree : trees) ++sharing[tree.directory];
  Taken taken;
  std::set<std::string> made;
  for (std::size_t i = 0; i < trees.size(); ++i) {
    const NamedTree& tree = trees[i];
    if (!tree.directory.empty() && made.insert(tree.directory).second) TRY(writer.add_directory(tree.directory));
    TRY(Walk(tree, static_cast<int>(i), sharing[tree.directory] > 1 ? &taken : nullptr, writer).run());
  }
  return writer.finish();
}

}  // namespace slipway::layer
