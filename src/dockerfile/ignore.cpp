#include "dockerfile/ignore.hpp"

#include <algorithm>
#include <functional>

#include "base/text.hpp"
#include "dockerfile/excerpt.hpp"
#include "dockerfile/go_match.hpp"
#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {
namespace {

using Kind = Glob::Kind;
constexpr std::uint32_t kNone = 0;  // the root is nobody's child

// A line of the file as BuildKit's reader leaves it: trimmed, cleaned, without a leading slash. Empty: no pattern.
std::string normalised(std::string_view line) {
  if (line.starts_with('#')) return {};
  std::string_view text = trim_space(line);
  if (text.empty()) return {};
  const bool negated = text.starts_with('!');
  if (negated) text = trim_space(text.substr(1));
  std::string path = text.empty() ? std::string() : go_clean(text);
  if (path.size() > 1 && path.starts_with('/')) path.erase(0, 1);
  return negated ? "!" + path : path;
}

std::string_view last_component(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// The runes of elements that are all characters.
std::u32string literal(const std::vector<Glob::Element>& elements, std::size_t first, std::size_t last) {
  std::u32string out;
  for (std::size_t i = first; i < last; ++i) out += elements[i].rune;
  return out;
}

bool is_rune(const Glob::Element& element) { return element.kind == Kind::kRune; }

// Components that a pattern matches when it has no `**`, otherwise 0.
int depth_of(const Glob& glob) {
  int depth = 1;
  for (const auto& element : glob.elements()) {
    if (element.kind == Kind::kTree || element.kind == Kind::kRest) return 0;
    if (is_rune(element) && element.rune == '/') ++depth;
  }
  return depth;
}

}  // namespace

Matcher::Matcher() : nodes_(1), table_(16, kNone) {}

Result<Matcher> Matcher::parse(std::string_view text, std::string_view file_name) {
  if (text.size() > kIgnoreLimit) {
    return fail(Code::kOutOfRange, "{} has {} bytes; at most {} are read", printable(file_name, 256), text.size(),
                kIgnoreLimit);
  }
  const std::string_view whole = text;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  Matcher matcher;
  int number = 0;
  for (const auto line : split(text, '\n')) {
    ++number;
    const std::string pattern = normalised(line);
    if (pattern.empty()) continue;
    if (auto added = matcher.add(pattern); !added) {
      return std::unexpected(with_excerpt(std::move(added).error(), whole, {std::string(file_name), number, number}));
    }
  }
  return matcher;
}

Result<Matcher> Matcher::from_patterns(const std::vector<std::string>& patterns) {
  Matcher matcher;
  for (const auto& text : patterns) {
    const std::string pattern = normalised(text.starts_with('#') ? " " + text : text);  // comments are for files only
    if (!pattern.empty()) TRY(matcher.add(pattern));
  }
  return matcher;
}

Status Matcher::add(std::string_view pattern) {
  const bool negated = pattern.starts_with('!');
  if (negated) pattern.remove_prefix(1);
  if (pattern.empty()) return fail(Code::kInvalidArgument, "illegal exclusion pattern: \"!\"");
  const Glob glob = TRY(Glob::parse(pattern, Glob::Dialect::kIgnore));
  const int line = static_cast<int>(negated_.size());
  negated_.push_back(negated);
  const auto& elements = glob.elements();
  if (std::ranges::all_of(elements, is_rune)) {
    add_literal(literal(elements, 0, elements.size()), line);
  } else {
    add_glob(glob, line);
  }
  return {};
}

void Matcher::add_literal(std::u32string_view path, int line) {
  // "/" and "." name no path of a context
  if (path.ends_with(U'/') || path == U".") return;
  const std::uint32_t node = make_node(path);
  nodes_[node].exact = line;
  if (negated_.back()) note_negation(nodes_[node].parent, line);
}

void Matcher::add_glob(const Glob& glob, int line) {
  const auto& elements = glob.elements();
  const auto first_wild = static_cast<std::size_t>(std::ranges::find_if_not(elements, is_rune) - elements.begin());
  std::size_t start = first_wild;  // behind the last slash of the literal front
  while (start > 0 && elements[start - 1].rune != '/') --start;
  const std::uint32_t node = start == 0 ? 0 : make_node(literal(elements, 0, start - 1));
  const Glob rest = glob.tail(start);
  if (negated_.back()) note_negation(node, line);
  if (rest.elements().size() == 1 && rest.elements()[0].kind == Kind::kRest) {
    nodes_[node].below = line;
  } else if (node != 0 || !add_by_name(rest, line)) {
    wild_.push_back({.line = line, .depth = depth_of(rest), .next = nodes_[node].wild, .glob = rest});
    nodes_[node].wild = static_cast<std::int32_t>(wild_.size()) - 1;
  }
}

// `**/name`, `**/*suffix` and `*suffix`, the lines that most ignore files consist of, are found by the name alone.
bool Matcher::add_by_name(const Glob& rest, int line) {
  const auto& elements = rest.elements();
  const bool anywhere = elements[0].kind == Kind::kTree;
  std::size_t first = anywhere ? 2 : 0;
  const bool suffix = first < elements.size() && elements[first].kind == Kind::kRun;
  if (suffix) ++first;
  const bool one_name = std::all_of(elements.begin() + static_cast<std::ptrdiff_t>(first), elements.end(),
                                    [](const auto& element) { return is_rune(element) && element.rune != '/'; });
  if (!one_name || first == 0) return false;
  const std::string& name = names_.emplace_back(encoded(literal(elements, first, elements.size())));
  NameIndex& index = anywhere ? anywhere_ : top_;
  if (suffix) {
    index.add_suffix(name, line);
  } else {
    index.names[name] = line;
  }
  if (anywhere && negated_.back()) negated_anywhere_ = line;
  return true;
}

void Matcher::NameIndex::add_suffix(std::string_view suffix, int line) {
  suffixes[suffix] = line;
  const auto at = std::ranges::lower_bound(suffix_sizes, suffix.size());
  if (at == suffix_sizes.end() || *at != suffix.size()) suffix_sizes.insert(at, suffix.size());
}

int Matcher::NameIndex::last(std::string_view name, int best) const {
  if (const auto found = names.find(name); found != names.end()) best = std::max(best, found->second);
  for (const std::size_t size : suffix_sizes) {
    if (size > name.size()) break;
    const auto found = suffixes.find(name.substr(name.size() - size));
    if (found != suffixes.end()) best = std::max(best, found->second);
  }
  return best;
}

// The node of a directory path, made with its parents where missing.
std::uint32_t Matcher::make_node(std::u32string_view directory) {
  const std::string& path = names_.emplace_back(encoded(directory));
  std::uint32_t node = 0;
  for (const auto name : split(path, '/')) {
    std::uint32_t child = find_child(node, name);
    if (child == kNone) {
      if (2 * nodes_.size() > table_.size()) grow();
      child = static_cast<std::uint32_t>(nodes_.size());
      const auto path_size =
          static_cast<std::uint32_t>(name.data() - path.data() + static_cast<std::ptrdiff_t>(name.size()) + 1);
      nodes_.push_back({.parent = node, .path_size = path_size, .name = name});
      table_[slot_of(node, name)] = child;
    }
    node = child;
  }
  return node;
}

void Matcher::note_negation(std::uint32_t node, int line) {
  // parents of a node that has the line already have it too
  for (; nodes_[node].negated_below != line; node = nodes_[node].parent) nodes_[node].negated_below = line;
}

// The slot that holds the node, or the free one where it belongs.
std::uint32_t Matcher::slot_of(std::uint32_t parent, std::string_view name) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = (std::hash<std::string_view>{}(name) ^ (parent * std::size_t{0x9e3779b97f4a7c15})) & mask;
  while (table_[slot] != kNone && (nodes_[table_[slot]].parent != parent || nodes_[table_[slot]].name != name)) {
    slot = (slot + 1) & mask;
  }
  return static_cast<std::uint32_t>(slot);
}

void Matcher::grow() {
  table_.assign(4 * table_.size(), kNone);
  for (std::uint32_t i = 1; i < nodes_.size(); ++i) table_[slot_of(nodes_[i].parent, nodes_[i].name)] = i;
}

std::uint32_t Matcher::find_child(std::uint32_t parent, std::string_view name) const {
  return table_[slot_of(parent, name)];
}

// The last pattern beyond `best` that starts at `node` or above it and matches the path.
int Matcher::last_wild(std::uint32_t node, std::string_view path, int best) const {
  while (true) {
    const Node& here = nodes_[node];
    std::u32string rest;
    int depth = 0;
    for (std::int32_t i = here.wild; i >= 0 && wild_[static_cast<std::size_t>(i)].line > best;) {
      const Wild& wild = wild_[static_cast<std::size_t>(i)];
      i = wild.next;
      if (depth == 0) {
        rest = decoded(path.substr(here.path_size));
        depth = static_cast<int>(std::ranges::count(rest, U'/')) + 1;
      }
      if ((wild.depth == 0 || wild.depth == depth) && wild.glob.matches(rest)) best = wild.line;
    }
    if (node == 0) return best;
    node = here.parent;
  }
}

Verdict Matcher::judge(const Verdict& parent, std::string_view path) const {
  const std::string_view name = last_component(path);
  Verdict verdict{.line = parent.line, .node = parent.node, .on_node = false};
  verdict.line = anywhere_.last(name, verdict.line);
  if (name.size() == path.size()) verdict.line = top_.last(name, verdict.line);
  if (parent.on_node) {
    verdict.line = std::max(verdict.line, nodes_[parent.node].below);
    if (const std::uint32_t child = find_child(parent.node, name); child != kNone) {
      verdict = {.line = std::max(verdict.line, nodes_[child].exact), .node = child, .on_node = true};
    }
  }
  verdict.line = last_wild(parent.node, path, verdict.line);
  return verdict;
}

bool Matcher::excluded(const Verdict& verdict) const {
  return verdict.line >= 0 && !negated_[static_cast<std::size_t>(verdict.line)];
}

bool Matcher::excluded(std::string_view path) const {
  Verdict verdict = root();
  for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    verdict = judge(verdict, path.substr(0, slash));
  }
  return excluded(judge(verdict, path));
}

bool Matcher::can_prune(const Verdict& verdict, std::string_view path) const {
  if (!excluded(verdict) || negated_anywhere_ > verdict.line) return false;
  std::uint32_t node = verdict.node;
  if (verdict.on_node) {
    if (nodes_[node].negated_below > verdict.line) return false;
    if (node == 0) return true;
    node = nodes_[node].parent;
  }
  for (const std::string directory = std::string(path) + "/";; node = nodes_[node].parent) {
    const Node& here = nodes_[node];
    for (std::int32_t i = here.wild; i >= 0 && wild_[static_cast<std::size_t>(i)].line > verdict.line;) {
      const Wild& wild = wild_[static_cast<std::size_t>(i)];
      i = wild.next;
      const bool negated = negated_[static_cast<std::size_t>(wild.line)];
      if (negated && wild.glob.can_continue(decoded(std::string_view(directory).substr(here.path_size)))) return false;
    }
    if (node == 0) return true;
  }
}

}  // namespace slipway::dockerfile
