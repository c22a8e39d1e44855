#include <algorithm>

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

Status write_child(const Frame& frame, const MergedChild& child, Parent& parent, MemberWriter& writer) {
  const std::string above = frame.path.empty() ? "" : frame.path.substr(0, frame.path.size() - 1);
  const int dir = TRY(parent.open(child.layer, above));
  auto file = TRY(open_tree_file(dir, child.name, child.info, frame.path + child.name));
  return file ? writer.add(*std::move(file), child.layer) : Status();
}

}  // namespace

Result<Written> write_merged(const std::vector<int>& layers, const Target& target, const Cancel& cancel) {
  const Stack stack(layers);
  MemberWriter writer(target, std::nullopt, cancel);
  Parent parent(stack);
  std::vector<Frame> frames;  // from the root down; no recursion, the tree may be deep
  frames.push_back(TRY(make_frame(stack, "", stack.all())));
  while (!frames.empty()) {
    Frame& frame = frames.back();
    if (frame.next == frame.visits.size()) {
      frames.pop_back();
      continue;
    }
    const Visit& visit = frame.visits[frame.next++];
    const MergedChild& child = frame.children[visit.child];
    if (!visit.enter) {
      TRY(write_child(frame, child, parent, writer));
    } else {
      Frame inner = TRY(make_frame(stack, frame.path + child.name, child.parts));
      frames.push_back(std::move(inner));
    }
  }
  return writer.finish();
}

}  // namespace slipway::layer
