#include "build/yaml.hpp"

#include <yaml.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "base/text.hpp"

namespace slipway::build {
namespace {

constexpr std::size_t kDepth = 32, kBytes = 4 << 20;

struct Event {
  yaml_event_t event{};
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&event); }
};

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out.append(1, '\\').append(1, c);
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  const bool minus = text.starts_with('-');
  if (minus) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0o")) {
    base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text.starts_with('0')) {
    base = 8;
  }
  std::int64_t value = 0;
  if (text.empty() || text.starts_with('-')) return std::nullopt;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return minus ? -value : value;
}

std::string json_scalar(std::string_view text, bool plain) {
  if (!plain) return json_string(text);
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return "null";
  if (text == "true" || text == "True" || text == "TRUE") return "true";
  if (text == "false" || text == "False" || text == "FALSE") return "false";
  if (const auto number = whole_number(text)) return std::to_string(*number);
  return json_string(text);
}

class Reader {
 public:
  explicit Reader(std::string_view text) {
    (void)yaml_parser_initialize(&parser_);
    // libyaml asserts that there is an address, though no byte be behind it.
    const char* bytes = text.empty() ? "" : text.data();
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(bytes), text.size());
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { yaml_parser_delete(&parser_); }

  Result<std::string> read() {
    while (true) {
      Event one;
      if (yaml_parser_parse(&parser_, &one.event) != 1)
        return fail(Code::kInvalidArgument, "line {}: {}", parser_.problem_mark.line + 1,
                    printable(parser_.problem != nullptr ? parser_.problem : "not YAML", 200));
      if (one.event.type == YAML_STREAM_END_EVENT) break;
      TRY(take(one.event));
      if (out_.size() > kBytes) return fail(Code::kResourceExhausted, "it is larger than {} bytes", kBytes);
    }
    return out_.empty() ? "null" : std::move(out_);
  }

 private:
  /// An open mapping or sequence.
  struct Level {
    bool mapping = false;
    bool key_next = false;
    bool first = true;
  };

  std::unexpected<Error> refused(const yaml_event_t& event, std::string_view what) const {
    return fail(Code::kInvalidArgument, "line {}: {}", event.start_mark.line + 1, what);
  }

  Status take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_DOCUMENT_START_EVENT:
        if (documents_++ > 0) return refused(event, "a second document");
        return {};
      case YAML_ALIAS_EVENT:
        return refused(event, "aliases are not read");
      case YAML_SCALAR_EVENT:
        return scalar(event);
      case YAML_MAPPING_START_EVENT:
        return open(event, true, event.data.mapping_start.anchor, event.data.mapping_start.tag);
      case YAML_SEQUENCE_START_EVENT:
        return open(event, false, event.data.sequence_start.anchor, event.data.sequence_start.tag);
      case YAML_MAPPING_END_EVENT:
      case YAML_SEQUENCE_END_EVENT:
        out_ += levels_.back().mapping ? '}' : ']';
        levels_.pop_back();
        return {};
      default:
        return {};
    }
  }

  Status scalar(const yaml_event_t& event) {
    const auto& scalar = event.data.scalar;
    if (scalar.anchor != nullptr || scalar.tag != nullptr) return refused(event, "anchors and tags are not read");
    const std::string_view text(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const bool key = !levels_.empty() && levels_.back().key_next;
    separate();
    out_ += key ? json_string(text) : json_scalar(text, scalar.style == YAML_PLAIN_SCALAR_STYLE);
    return {};
  }

  Status open(const yaml_event_t& event, bool mapping, const unsigned char* anchor, const unsigned char* tag) {
    if (anchor != nullptr || tag != nullptr) return refused(event, "anchors and tags are not read");
    if (!levels_.empty() && levels_.back().key_next) return refused(event, "a key must be a word");
    if (levels_.size() >= kDepth) return refused(event, "it is nested too deep");
    separate();
    out_ += mapping ? '{' : '[';
    levels_.push_back({mapping, mapping, true});
    return {};
  }

  /// What stands before the next key or value.
  void separate() {
    if (levels_.empty()) return;
    Level& level = levels_.back();
    const bool value_of_key = level.mapping && !level.key_next;
    if (value_of_key)
      out_ += ':';
    else if (!std::exchange(level.first, false))
      out_ += ',';
    if (level.mapping) level.key_next = !level.key_next;
  }

  yaml_parser_t parser_{};
  std::string out_;
  std::vector<Level> levels_;
  int documents_ = 0;
};

}  // namespace

Result<std::string> json_of_yaml(std::string_view text) {
  if (text.size() > kBytes) return fail(Code::kResourceExhausted, "it is larger than {} bytes", kBytes);
  return Reader(text).read();
}

}  // namespace slipway::build
