#include "cli/value.hpp"

#include "base/text.hpp"
#include "cli/printable.hpp"

namespace slipway::cli {
namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// Nesting is ours: inspect's documents are a handful of levels deep, so recursion is bounded by our own code.
void line_break(std::string& out, int indent, int level) {
  if (indent <= 0) return;
  out += '\n';
  out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(level), ' ');
}

}  // namespace

Value Value::of(const std::vector<std::string>& texts) {
  Array items;
  for (const auto& text : texts) items.emplace_back(text);
  return items;
}

Value Value::of(const std::map<std::string, std::string>& texts) {
  Object members;
  for (const auto& [key, text] : texts) members.emplace_back(key, text);
  return members;
}

const Value* Value::find(std::string_view key) const {
  if (const Object* members = object())
    for (const auto& [name, value] : *members)
      if (name == key) return &value;
  return nullptr;
}

bool Value::truthy() const {
  return std::visit(Overloaded{[](std::monostate) { return false; }, [](bool flag) { return flag; },
                               [](std::int64_t number) { return number != 0; },
                               [](const auto& container) { return !container.empty(); }},
                    data_);
}

std::string Value::text() const {
  return std::visit(Overloaded{[](std::monostate) -> std::string { return "<no value>"; },
                               [](bool flag) -> std::string { return flag ? "true" : "false"; },
                               [](std::int64_t number) { return std::to_string(number); },
                               [](const std::string& text) { return printable_text(text); },
                               [](const Array& items) {
                                 std::vector<std::string> parts;
                                 for (const auto& item : items) parts.push_back(item.text());
                                 return "[" + join(parts, " ") + "]";
                               },
                               [](const Object& members) {
                                 std::vector<std::string> parts;
                                 for (const auto& [key, value] : members)
                                   parts.push_back(printable_text(key) + ":" + value.text());
                                 return "map[" + join(parts, " ") + "]";
                               }},
                    data_);
}

std::string Value::json() const {
  std::string out;
  write(out, 0, 0);
  return out;
}

std::string Value::json_indented(int indent) const {
  std::string out;
  write(out, indent, 0);
  return out;
}

void Value::write(std::string& out, int indent, int level) const {
  const auto list = [&](const auto& items, char open, char close, const auto& item) {
    out += open;
    bool first = true;
    for (const auto& each : items) {
      if (!first) out += ',';
      first = false;
      line_break(out, indent, level + 1);
      item(each);
    }
    if (!first) line_break(out, indent, level);
    out += close;
  };
  std::visit(Overloaded{[&](std::monostate) { out += "null"; }, [&](bool flag) { out += flag ? "true" : "false"; },
                        [&](std::int64_t number) { out += std::to_string(number); },
                        [&](const std::string& text) { append_json_string(out, text); },
                        [&](const Array& items) {
                          list(items, '[', ']', [&](const Value& item) { item.write(out, indent, level + 1); });
                        },
                        [&](const Object& members) {
                          list(members, '{', '}', [&](const auto& member) {
                            append_json_string(out, member.first);
                            out += indent > 0 ? ": " : ":";
                            member.second.write(out, indent, level + 1);
                          });
                        }},
             data_);
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = text.substr(at);
    const std::size_t length = utf8_length(rest);
    if (length == 0) {
      out += "\\ufffd";
      ++at;
      continue;
    }
    const std::string_view character = rest.substr(0, length);
    at += length;
    const char32_t code = code_point(character);
    if (code == '"' || code == '\\') {
      out += '\\';
      out += character;
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\r') {
      out += "\\r";
    } else if (code == '\t') {
      out += "\\t";
    } else if (acts_on_terminal(code)) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(code));
    } else {
      out += character;
    }
  }
  out += '"';
}

}  // namespace slipway::cli
