#include "oci/json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.hpp"

namespace slipway::oci {
namespace {

constexpr std::uint32_t kNone = 0;  // the root is nobody's child and nobody's sibling

/// ASCII lower case, and the two other letters that Unicode folds into ASCII ones.
std::string folded(std::string_view name) {
  std::string out;
  for (; !name.empty();) {
    const bool long_s = name.starts_with("\u017f");
    const bool kelvin = name.starts_with("\u212a");
    if (long_s || kelvin) {
      out += long_s ? 's' : 'k';
      name.remove_prefix(long_s ? 2 : 3);
    } else {
      out += name[0];
      name.remove_prefix(1);
    }
  }
  return lower(out);
}

/// A member's name as a part of a path: bare when it is a plain word.
std::string path_part(std::string_view name) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const bool plain = !name.empty() && name.find_first_not_of(kPlain) == std::string_view::npos;
  return plain && name.size() <= 128 ? std::string(name) : quoted(name, 128);
}

std::string_view name_of(Json::Kind kind) {
  switch (kind) {
    case Json::Kind::kNull:
      return "null";
    case Json::Kind::kBool:
      return "a boolean";
    case Json::Kind::kNumber:
      return "a number";
    case Json::Kind::kString:
      return "a string";
    case Json::Kind::kArray:
      return "an array";
    case Json::Kind::kObject:
      return "an object";
  }
  return "a value";
}

}  // namespace

/// Nodes stand in the order of the text, so a parent is before its children, and refer to each other by number.
struct Json::Node {
  std::uint32_t key = 0, key_size = 0;  // in Document::text
  std::uint32_t parent = kNone;
  std::uint32_t next = kNone;  // sibling
  union {
    std::int64_t integer = 0;  // a number with `whole`; a bool
    double real;               // a number without
    struct {
      std::uint32_t first, size;  // children; a string's place in Document::text
    } span;
  };
  Kind kind = Kind::kNull;
  bool whole = false;
};

struct Json::Document {
  std::vector<Node> nodes;
  std::string text;  // names and strings, one after another
  [[nodiscard]] std::string_view key(const Node& node) const {
    return std::string_view(text).substr(node.key, node.key_size);
  }
};

/// Takes the events of nlohmann's parser, which keeps its own stack on the heap. Every event answers whether to go on.
class Json::Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return add(Node{}) != kStopped; }
  bool boolean(bool flag) override { return add_integer(Kind::kBool, flag ? 1 : 0); }
  bool number_integer(number_integer_t number) override { return add_integer(Kind::kNumber, number); }
  bool number_unsigned(number_unsigned_t number) override {
    if (number <= INT64_MAX) return add_integer(Kind::kNumber, static_cast<std::int64_t>(number));
    return number_float(static_cast<double>(number), {});
  }
  bool number_float(number_float_t number, const string_t&) override {
    Node node;
    node.kind = Kind::kNumber;
    node.real = number;
    return add(node) != kStopped;
  }
  bool string(string_t& text) override {
    Node node;
    node.kind = Kind::kString;
    node.span = keep(text);
    return add(node) != kStopped;
  }
  bool binary(binary_t&) override { return stop("holds a binary value"); }  // JSON text has none
  bool start_object(std::size_t) override { return enter(Kind::kObject); }
  bool key(string_t& name) override {
    const auto [at, size] = keep(name);
    key_ = at;
    key_size_ = size;
    return true;
  }
  bool end_object() override {
    const std::uint32_t object = leave();
    return unique_names(object);
  }
  bool start_array(std::size_t) override { return enter(Kind::kArray); }
  bool end_array() override {
    leave();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return stop(fmt::format("is not valid JSON at byte {}", position));
  }

  /// What failed, to stand after "the document".
  std::string complaint;
  Code code = Code::kInvalidArgument;
  std::shared_ptr<Document> document = std::make_shared<Document>();

 private:
  static constexpr std::uint32_t kStopped = UINT32_MAX;
  struct Open {
    std::uint32_t node, last_child;
  };

  bool stop(std::string why, Code reason = Code::kInvalidArgument) {
    if (complaint.empty()) {
      complaint = std::move(why);
      code = reason;
    }
    return false;
  }

  decltype(Node::span) keep(std::string_view text) {
    const auto at = static_cast<std::uint32_t>(document->text.size());  // the text's limit is below 4 GiB
    document->text += text;
    return {at, static_cast<std::uint32_t>(text.size())};
  }

  bool add_integer(Kind kind, std::int64_t number) {
    Node node;
    node.kind = kind;
    node.integer = number;
    node.whole = true;
    return add(node) != kStopped;
  }

  std::uint32_t add(Node node) {
    std::vector<Node>& nodes = document->nodes;
    if (nodes.size() >= limits_.values) {
      stop(fmt::format("holds more than {} values", limits_.values), Code::kResourceExhausted);
      return kStopped;
    }
    const auto index = static_cast<std::uint32_t>(nodes.size());
    node.key = std::exchange(key_, 0);
    node.key_size = std::exchange(key_size_, 0);
    if (!open_.empty()) {
      Open& parent = open_.back();
      node.parent = parent.node;
      (parent.last_child == kNone ? nodes[parent.node].span.first : nodes[parent.last_child].next) = index;
      parent.last_child = index;
      ++nodes[parent.node].span.size;
    }
    nodes.push_back(node);
    return index;
  }

  bool enter(Kind kind) {
    if (open_.size() >= limits_.depth) {
      return stop(fmt::format("is nested deeper than {} levels", limits_.depth), Code::kResourceExhausted);
    }
    Node node;
    node.kind = kind;
    node.span = {kNone, 0};
    const std::uint32_t index = add(node);
    if (index == kStopped) return false;
    open_.push_back({index, kNone});
    return true;
  }

  std::uint32_t leave() {
    const std::uint32_t node = open_.back().node;
    open_.pop_back();
    return node;
  }

  bool unique_names(std::uint32_t object) {
    const std::vector<Node>& nodes = document->nodes;
    names_.clear();
    for (std::uint32_t i = nodes[object].span.first; i != kNone; i = nodes[i].next)
      names_.push_back(document->key(nodes[i]));
    std::sort(names_.begin(), names_.end());
    const auto twice = std::adjacent_find(names_.begin(), names_.end());
    return twice == names_.end() || stop(fmt::format("has the name {} twice in one object", quoted(*twice, 128)));
  }

  const JsonLimits limits_;
  std::vector<Open> open_;
  std::vector<std::string_view> names_;
  std::uint32_t key_ = 0, key_size_ = 0;
};

Result<Json> Json::parse(std::string_view text, const JsonLimits& limits) {
  if (text.size() > std::min<std::size_t>(limits.bytes, INT32_MAX)) {
    return fail(Code::kResourceExhausted, "the document has {} bytes; at most {} are read", text.size(), limits.bytes);
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    return fail(Code::kInvalidArgument, "the document begins with a byte order mark");  // nlohmann would skip it
  }
  if (const auto at = text.find('\0'); at != std::string_view::npos) {  // nlohmann would end there
    return fail(Code::kInvalidArgument, "the document is not valid JSON at byte {}", at + 1);
  }
  Builder builder(limits);
  try {
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
      return fail(builder.code, "the document {}", builder.complaint);
    }
  } catch (const nlohmann::json::exception&) {  // its text quotes foreign bytes
    return fail(Code::kInvalidArgument, "the document is not valid JSON");
  }
  return Json(std::move(builder.document), 0);
}

const Json::Node& Json::node() const { return document_->nodes[index_]; }
Json::Kind Json::kind() const { return node().kind; }
std::string_view Json::key() const { return document_->key(node()); }
std::size_t Json::size() const { return children().size(); }
Json::Range Json::children() const { return is_array() || is_object() ? Range(*this) : Range(); }

std::string Json::path() const {
  if (index_ == 0) return "the document";
  std::vector<std::uint32_t> way;
  for (std::uint32_t i = index_; i != 0; i = document_->nodes[i].parent) way.push_back(i);
  std::string out;
  for (auto step = way.rbegin(); step != way.rend(); ++step) {
    const Node& here = document_->nodes[*step];
    const Node& parent = document_->nodes[here.parent];
    if (parent.kind == Kind::kObject) {
      out += (out.empty() ? "" : ".") + path_part(document_->key(here));
      continue;
    }
    std::size_t number = 0;
    for (std::uint32_t i = parent.span.first; i != *step; i = document_->nodes[i].next) ++number;
    out += fmt::format("[{}]", number);
  }
  return out;
}

std::string Json::child_path(std::string_view name) const {
  return index_ == 0 ? path_part(name) : path() + "." + path_part(name);
}

Error Json::mismatch(std::string_view wanted) const {
  return {Code::kInvalidArgument, fmt::format("{} is {}, not {}", path(), name_of(kind()), wanted)};
}

Result<std::string_view> Json::as_string() const {
  if (!is_string()) return std::unexpected(mismatch("a string"));
  return std::string_view(document_->text).substr(node().span.first, node().span.size);
}

Result<bool> Json::as_bool() const {
  if (kind() != Kind::kBool) return std::unexpected(mismatch("a boolean"));
  return node().integer != 0;
}

Result<std::int64_t> Json::as_int64() const {
  if (kind() != Kind::kNumber) return std::unexpected(mismatch("a whole number"));
  if (!node().whole) {
    return fail(Code::kInvalidArgument, "{} is {}, not a whole number of 63 bits", path(), node().real);
  }
  return node().integer;
}

Result<std::int64_t> Json::as_int63() const {
  const std::int64_t number = TRY(as_int64());
  if (number < 0) return fail(Code::kInvalidArgument, "{} is {}; it can not be negative", path(), number);
  return number;
}

Result<double> Json::as_double() const {
  if (kind() != Kind::kNumber) return std::unexpected(mismatch("a number"));
  return node().whole ? static_cast<double>(node().integer) : node().real;
}

Result<std::vector<std::string>> Json::as_strings() const {
  std::vector<std::string> out;
  if (is_null()) return out;
  if (!is_array()) return std::unexpected(mismatch("an array of strings"));
  out.reserve(size());
  for (const Json element : children()) out.emplace_back(TRY(element.as_string()));
  return out;
}

std::optional<Json> Json::find(std::string_view name) const {
  if (!is_object()) return std::nullopt;
  for (std::uint32_t i = node().span.first; i != kNone; i = document_->nodes[i].next) {
    const Node& member = document_->nodes[i];
    if (document_->key(member) != name) continue;
    if (member.kind == Kind::kNull) return std::nullopt;
    return Json(document_, i);
  }
  return std::nullopt;
}

Result<Json> Json::at(std::string_view name) const {
  if (auto member = find(name)) return *std::move(member);
  if (!is_object()) return std::unexpected(mismatch("an object"));
  return fail(Code::kInvalidArgument, "{} is missing", child_path(name));
}

Result<std::string_view> Json::need_string(std::string_view name) const {
  const Json member = TRY(at(name));
  return member.as_string();
}

Result<std::int64_t> Json::need_int63(std::string_view name) const {
  const Json member = TRY(at(name));
  return member.as_int63();
}

Result<Json::Range> Json::list(std::string_view name) const {
  const auto member = find(name);
  if (!member) return Range();
  if (!member->is_array()) return std::unexpected(member->mismatch("an array"));
  return Range(*member);
}

Result<Json::Range> Json::map(std::string_view name) const {
  const auto member = find(name);
  if (!member) return Range();
  TRY(member->require_object());
  return Range(*member);
}

Result<std::string> Json::string(std::string_view name) const {
  const auto member = find(name);
  if (!member) return std::string();
  return std::string(TRY(member->as_string()));
}

Result<bool> Json::boolean(std::string_view name) const {
  const auto member = find(name);
  return member ? member->as_bool() : false;
}

Result<std::int64_t> Json::int63(std::string_view name) const {
  const auto member = find(name);
  return member ? member->as_int63() : 0;
}

Status Json::require_object() const {
  if (!is_object()) return std::unexpected(mismatch("an object"));
  return {};
}

Status Json::refuse_lookalikes(std::initializer_list<std::string_view> names) const {
  for (const Json member : children()) {
    const std::string_view key = member.key();
    if (std::find(names.begin(), names.end(), key) != names.end()) continue;
    const std::string same = folded(key);
    for (const std::string_view name : names) {
      if (same == lower(name)) {
        return fail(Code::kInvalidArgument, "{} is ambiguous: some programs read it as {}, others do not read it",
                    member.path(), name);
      }
    }
  }
  return {};
}

Json::Range::Range(const Json& parent)
    : document_(parent.document_), first_(parent.node().span.first), size_(parent.node().span.size) {}
Json::Range::Iterator Json::Range::begin() const { return {this, first_}; }
Json::Range::Iterator Json::Range::end() const { return {this, kNone}; }
Json Json::Range::Iterator::operator*() const { return {range_->document_, index_}; }
Json::Range::Iterator& Json::Range::Iterator::operator++() {
  index_ = range_->document_->nodes[index_].next;
  return *this;
}

}  // namespace slipway::oci
