#include "cli/template.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.hpp"
#include "cli/printable.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kTemplateLimit = 64 * 1024;
constexpr int kNestingLimit = 64;

/// One operand: a field path (".A.B", "."), a string, a number, or a parenthesised pipeline.
struct Operand;
/// A function with its operands, or a lone operand (then `function` is empty).
struct Call {
  std::string function;
  std::vector<Operand> operands;
};
using Pipeline = std::vector<Call>;
struct Operand {
  enum class Kind : unsigned char { kField, kRootField, kLiteral, kPipeline } kind = Kind::kLiteral;
  std::vector<std::string> path;
  Value literal;
  Pipeline pipeline;
};

std::unexpected<Error> bad(std::string what) {
  return std::unexpected(Error(Code::kInvalidArgument, "template: " + std::move(what)));
}

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

constexpr std::string_view kFunctions[] = {"json", "index", "len",     "upper",    "lower", "title",
                                           "join", "split", "eq",      "ne",       "not",   "and",
                                           "or",   "print", "println", "truncate", "pad"};

/// Reads what stands between {{ and }}.
class ActionParser {
 public:
  explicit ActionParser(std::string_view text) : text_(text) {}

  Result<Pipeline> pipeline(int depth) {
    if (depth > kNestingLimit) return bad("too many parentheses");
    Pipeline calls;
    while (true) {
      calls.push_back(TRY(call(depth)));
      skip_blanks();
      if (!rest().starts_with('|')) return calls;
      ++at_;
    }
  }
  bool at_end() {
    skip_blanks();
    return at_ >= text_.size();
  }
  /// A word such as "range", if the text begins with it.
  std::string_view keyword() {
    skip_blanks();
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }
  void skip(std::size_t count) { at_ += count; }
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }

  Result<Call> call(int depth) {
    Call made;
    const std::string_view word = keyword();
    if (!word.empty() && !(word[0] >= '0' && word[0] <= '9') && word != "true" && word != "false" && word != "nil") {
      const std::vector<std::string_view> known(std::begin(kFunctions), std::end(kFunctions));
      if (std::find(known.begin(), known.end(), word) == known.end()) {
        const std::string near = nearest(word, known);
        return bad(fmt::format("function {} not defined{}", quoted(word, 64),
                               near.empty() ? "" : fmt::format("; did you mean {}?", near)));
      }
      made.function = word;
      skip(word.size());
    }
    while (!at_end() && !rest().starts_with('|') && !rest().starts_with(')')) {
      if (made.function.empty() && !made.operands.empty())
        return bad(fmt::format("unexpected {} in a pipeline", quoted(rest(), 32)));
      made.operands.push_back(TRY(operand(depth)));
    }
    if (made.function.empty() && made.operands.empty()) return bad("a value is missing");
    return made;
  }

  Result<Operand> operand(int depth) {
    Operand read;
    const char c = text_[at_];
    if (c == '(') {
      ++at_;
      read.kind = Operand::Kind::kPipeline;
      read.pipeline = TRY(pipeline(depth + 1));
      if (at_end() || text_[at_] != ')') return bad("a ) is missing");
      ++at_;
      return read;
    }
    if (c == '.' || c == '$') {
      read.kind = c == '$' ? Operand::Kind::kRootField : Operand::Kind::kField;
      if (c == '$') ++at_;
      while (rest().starts_with('.')) {
        ++at_;
        const std::string_view name = field_name();
        if (name.empty()) break;  // the lone "."
        read.path.emplace_back(name);
      }
      return read;
    }
    if (c == '"' || c == '`') {
      read.literal = TRY(string_literal(c));
      return read;
    }
    const std::string_view word = keyword();
    skip(word.size());
    if (word == "true" || word == "false") {
      read.literal = Value(word == "true");
      return read;
    }
    if (word == "nil") return read;
    const auto number = parse_size(word);
    if (!number) return bad(fmt::format("unexpected {}", quoted(text_.substr(at_ - word.size()), 32)));
    read.literal = Value(*number);
    return read;
  }

  std::string_view field_name() {
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const auto name = text_.substr(at_, end - at_);
    at_ = end;
    return name;
  }

  Result<std::string> string_literal(char quote) {
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == quote) {
        ++at_;
        return out;
      }
      if (c == '\\' && quote == '"' && at_ + 1 < text_.size()) {
        c = text_[++at_];
        c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
      }
      out += c;
    }
    return bad("a string is not ended");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

struct Template::Node {
  enum class Kind : unsigned char { kList, kText, kPrint, kRange, kIf, kWith } kind = Kind::kList;
  std::string text;
  Pipeline pipeline;
  std::vector<Node> children;   ///< of a list, a range, a true condition
  std::vector<Node> otherwise;  ///< {{else}}
};

namespace {

using Node = Template::Node;

// --- parsing
struct Token {
  bool action = false;
  std::string text;
};

Result<std::vector<Token>> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  bool trim_next = false;
  while (true) {
    const auto open = text.find("{{");
    std::string plain(text.substr(0, open));
    if (trim_next) plain.erase(0, plain.find_first_not_of(" \t\r\n"));
    trim_next = false;
    if (open == std::string_view::npos) {
      tokens.push_back({false, std::move(plain)});
      return tokens;
    }
    text.remove_prefix(open + 2);
    // the end is looked for outside of strings
    std::size_t end = 0;
    for (char quote = 0; end < text.size(); ++end) {
      if (quote != 0) {
        if (text[end] == '\\' && quote == '"') {
          ++end;
        } else if (text[end] == quote) {
          quote = 0;
        }
      } else if (text[end] == '"' || text[end] == '`') {
        quote = text[end];
      } else if (text.substr(end).starts_with("}}")) {
        break;
      }
    }
    if (end >= text.size()) return bad("unclosed action: a }} is missing");
    std::string_view action = text.substr(0, end);
    text.remove_prefix(end + 2);
    if (action.starts_with("- ")) {
      plain.erase(plain.find_last_not_of(" \t\r\n") + 1);
      action.remove_prefix(2);
    }
    if (action.ends_with(" -")) {
      trim_next = true;
      action.remove_suffix(2);
    }
    tokens.push_back({false, std::move(plain)});
    const auto trimmed = trim(action);
    if (!(trimmed.starts_with("/*") && trimmed.ends_with("*/"))) tokens.push_back({true, std::string(trimmed)});
  }
}

/// Opened blocks, innermost last; `in_else` says which of its two lists grows.
struct Block {
  Node node;
  bool in_else = false;
};

void append(std::vector<Block>& blocks, Node node) {
  Block& top = blocks.back();
  (top.in_else ? top.node.otherwise : top.node.children).push_back(std::move(node));
}

Status add_action(std::vector<Block>& blocks, const std::string& text) {
  ActionParser parser(text);
  const std::string_view word = parser.keyword();
  if (word == "end" || word == "else") {
    parser.skip(word.size());
    if (!parser.at_end()) return bad(fmt::format("unexpected {} after {}", quoted(parser.rest(), 32), word));
    if (blocks.size() < 2) return bad(fmt::format("{{{{{}}}}} without range, if or with", word));
    if (word == "else") {
      if (blocks.back().in_else) return bad("two {{else}} in one block");
      blocks.back().in_else = true;
      return {};
    }
    Node done = std::move(blocks.back().node);
    blocks.pop_back();
    append(blocks, std::move(done));
    return {};
  }
  Node node{.kind = Node::Kind::kPrint};
  if (word == "range" || word == "if" || word == "with") {
    node.kind = word == "range" ? Node::Kind::kRange : word == "if" ? Node::Kind::kIf : Node::Kind::kWith;
    parser.skip(word.size());
  }
  node.pipeline = TRY(parser.pipeline(0));
  if (!parser.at_end()) return bad(fmt::format("unexpected {}", quoted(parser.rest(), 32)));
  if (node.kind == Node::Kind::kPrint) {
    append(blocks, std::move(node));
  } else if (blocks.size() > kNestingLimit) {
    return bad("too many nested blocks");
  } else {
    blocks.push_back({std::move(node)});
  }
  return {};
}

// --- rendering
class Renderer {
 public:
  Renderer(const Value& root, Fields fields) : root_(root), headers_(fields == Fields::kHeaders) {}

  // Depth is bounded by kNestingLimit when the template is read.
  Status list(const std::vector<Node>& nodes, const Value& dot) {
    for (const auto& node : nodes) TRY(one(node, dot));
    return {};
  }
  std::string take() { return std::move(out_); }

 private:
  Status one(const Node& node, const Value& dot) {
    if (node.kind == Node::Kind::kText) {
      out_ += node.text;
      return {};
    }
    const Value value = TRY(run(node.pipeline, dot));
    switch (node.kind) {
      case Node::Kind::kPrint:
        out_ += made_safe_ ? *value.string() : value.text();
        return {};
      case Node::Kind::kIf:
        return list(value.truthy() ? node.children : node.otherwise, dot);
      case Node::Kind::kWith:
        return value.truthy() ? list(node.children, value) : list(node.otherwise, dot);
      case Node::Kind::kRange:
        return range(node, value, dot);
      default:
        return {};
    }
  }

  Status range(const Node& node, const Value& value, const Value& dot) {
    if (!value.truthy()) return list(node.otherwise, dot);
    if (const auto* items = value.array()) {
      for (const auto& item : *items) TRY(list(node.children, item));
    } else if (const auto* members = value.object()) {
      for (const auto& member : *members) TRY(list(node.children, member.second));
    } else {
      return bad(fmt::format("range can not go over {}", quoted(value.text(), 64)));
    }
    return {};
  }

  Result<Value> run(const Pipeline& pipeline, const Value& dot) {
    std::optional<Value> carried;
    for (const auto& call : pipeline) {
      made_safe_ = false;
      std::vector<Value> values;
      for (const auto& operand : call.operands) values.push_back(TRY(evaluate(operand, dot)));
      if (carried) values.push_back(std::move(*carried));
      if (call.function.empty()) {
        if (values.size() != 1) return bad("only functions take what a | carries");
        carried = std::move(values[0]);
      } else {
        carried = TRY(apply(call.function, values));
        made_safe_ = call.function == "json" && carried->string() != nullptr;
      }
    }
    return *std::move(carried);
  }

  Result<Value> evaluate(const Operand& operand, const Value& dot) {
    switch (operand.kind) {
      case Operand::Kind::kLiteral:
        return operand.literal;
      case Operand::Kind::kPipeline:
        return run(operand.pipeline, dot);
      case Operand::Kind::kRootField:
        return member(root_, operand.path);
      case Operand::Kind::kField:
        return member(dot, operand.path);
    }
    return Value();
  }

  static Result<Value> member(const Value& from, const std::vector<std::string>& path) {
    const Value* at = &from;
    for (const auto& name : path) {
      const Value* next = at->find(name);
      if (next == nullptr) {
        std::vector<std::string_view> known;
        if (const auto* members = at->object())
          for (const auto& [key, value] : *members) known.push_back(key);
        std::string near = nearest(name, known);
        for (const auto key : known)
          if (near.empty() && lower(key) == lower(name)) near = key;
        return bad(fmt::format("there is no field .{} here{}", printable(name, 64),
                               near.empty() ? "" : fmt::format("; did you mean .{}?", near)));
      }
      at = next;
    }
    return *at;
  }

  Result<Value> apply(const std::string& function, const std::vector<Value>& values) {
    const auto need = [&](std::size_t count) -> Status {
      if (values.size() != count)
        return bad(fmt::format("function {} takes {} value{}, {} given", function, count, count == 1 ? "" : "s",
                               values.size()));
      return {};
    };
    const auto text = [](const Value& value) { return value.string() != nullptr ? *value.string() : value.text(); };
    if (function == "print" || function == "println") {
      std::vector<std::string> parts;
      for (const auto& value : values) parts.push_back(text(value));
      return function == "print" ? join(parts, "") : join(parts, " ") + "\n";
    }
    if (function == "eq" || function == "ne") {
      TRY(need(2));
      return Value((values[0].json() == values[1].json()) == (function == "eq"));
    }
    if (function == "and" || function == "or") {
      if (values.empty()) return bad(fmt::format("function {} needs a value", function));
      for (const auto& value : values)
        if (value.truthy() == (function == "or")) return value;
      return values.back();
    }
    if (function == "index") return index(values);
    if (headers_ && !values.empty()) return values.back();  // a heading stays what it is
    if (function == "join" || function == "split" || function == "truncate") return binary(function, values);
    if (function == "pad") {
      TRY(need(3));
      const auto blanks = [](const Value& value) {
        return std::string(static_cast<std::size_t>(std::min<std::int64_t>(value.number() ? *value.number() : 0, 256)),
                           ' ');
      };
      return blanks(values[1]) + text(values[0]) + blanks(values[2]);
    }
    TRY(need(1));
    if (function == "json") return values[0].json();
    if (function == "not") return Value(!values[0].truthy());
    if (function == "len") return length(values[0]);
    std::string word = text(values[0]);
    if (function == "lower") return lower(word);
    for (std::size_t i = 0; i < word.size(); ++i) {
      const bool raise = function == "upper" || i == 0 || word[i - 1] == ' ';
      if (raise && word[i] >= 'a' && word[i] <= 'z') word[i] = static_cast<char>(word[i] - 'a' + 'A');
    }
    return word;
  }

  static Result<Value> binary(const std::string& function, const std::vector<Value>& values) {
    if (values.size() != 2) return bad(fmt::format("function {} takes 2 values, {} given", function, values.size()));
    if (function == "join") {
      if (values[0].array() == nullptr || values[1].string() == nullptr)
        return bad("join takes a list and a separator");
      std::vector<std::string> parts;
      for (const auto& item : *values[0].array()) parts.push_back(item.string() ? *item.string() : item.text());
      return join(parts, *values[1].string());
    }
    if (values[0].string() == nullptr) return bad(fmt::format("function {} works on text", function));
    const std::string& text = *values[0].string();
    if (function == "truncate") {
      if (values[1].number() == nullptr) return bad("truncate takes a text and a number");
      return text.substr(0, static_cast<std::size_t>(*values[1].number()));
    }
    if (values[1].string() == nullptr || values[1].string()->size() != 1) return bad("split takes one separator");
    Value::Array parts;
    for (const auto part : split(text, (*values[1].string())[0])) parts.emplace_back(part);
    return Value(std::move(parts));
  }

  static Result<Value> index(const std::vector<Value>& values) {
    if (values.empty()) return bad("index needs a value");
    Value at = values[0];
    for (std::size_t i = 1; i < values.size(); ++i) {
      if (const auto* items = at.array()) {
        const auto* number = values[i].number();
        if (number == nullptr || *number < 0 || static_cast<std::size_t>(*number) >= items->size())
          return bad(fmt::format("index {} is out of range: {} there", values[i].text(), items->size()));
        Value item = (*items)[static_cast<std::size_t>(*number)];
        at = std::move(item);
      } else if (at.object() != nullptr && values[i].string() != nullptr) {
        const Value* found = at.find(*values[i].string());
        Value item = found == nullptr ? Value("") : *found;
        at = std::move(item);
      } else if (at.is_null()) {
        return Value("");
      } else {
        return bad(fmt::format("{} can not be indexed by {}", quoted(at.text(), 64), values[i].json()));
      }
    }
    return at;
  }

  static Result<Value> length(const Value& value) {
    std::size_t count = 0;
    if (const auto* items = value.array()) {
      count = items->size();
    } else if (const auto* members = value.object()) {
      count = members->size();
    } else if (const auto* text = value.string()) {
      count = text->size();
    } else if (!value.is_null()) {
      return bad(fmt::format("{} has no length", quoted(value.text(), 64)));
    }
    return Value(static_cast<std::int64_t>(count));
  }

  const Value& root_;
  const bool headers_;
  bool made_safe_ = false;  // the last value is JSON, whose escapes must not be escaped again
  std::string out_;
};

}  // namespace

Template::Template(std::unique_ptr<Node> root) : root_(std::move(root)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::parse(std::string_view text) {
  if (text.size() > kTemplateLimit) return bad("it is too long");
  std::vector<Block> blocks(1);
  for (auto& token : TRY(tokens_of(text))) {
    if (token.action) {
      TRY(add_action(blocks, token.text));
    } else if (!token.text.empty()) {
      append(blocks, Node{.kind = Node::Kind::kText, .text = std::move(token.text)});
    }
  }
  if (blocks.size() > 1) return bad("a {{end}} is missing");
  return Template(std::make_unique<Node>(std::move(blocks[0].node)));
}

Result<std::string> Template::render(const Value& data, Fields fields) const {
  Renderer renderer(data, fields);
  TRY(renderer.list(root_->children, data));
  return renderer.take();
}

}  // namespace slipway::cli
