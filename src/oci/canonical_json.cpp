#include "oci/canonical_json.hpp"

#include <fmt/core.h>

#include <utility>

#include "base/text.hpp"

namespace slipway::oci {
namespace {

/// ASCII that Go's encoder (with HTML escaping, its default) copies as it is; DEL is among it.
bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

void escape_ascii(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      return;
  }
}

}  // namespace

void JsonWriter::separate() {
  if (!first_) out_ += ',';
  first_ = false;
}

void JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  first_ = true;
}

void JsonWriter::close(char bracket) {
  out_ += bracket;
  first_ = false;
}

void JsonWriter::key(std::string_view name) {
  separate();
  string(name);
  out_ += ':';
  first_ = true;
}

void JsonWriter::literal(std::string_view text) {
  separate();
  out_ += text;
}

void JsonWriter::integer(std::int64_t number) { literal(fmt::format("{}", number)); }

void JsonWriter::value(std::string_view text) {
  separate();
  string(text);
}

void JsonWriter::value(const std::vector<std::string>& texts) {
  begin_array();
  for (const std::string& text : texts) value(text);
  end_array();
}

void JsonWriter::value(const std::map<std::string, std::string>& texts) {
  begin_object();
  for (const auto& [name, text] : texts) member(name, text);
  end_object();
}

void JsonWriter::nonempty_set(std::string_view name, const std::vector<std::string>& names) {
  if (names.empty()) return;
  key(name);
  begin_object();
  for (const std::string& element : names) {
    key(element);
    begin_object();
    end_object();
  }
  end_object();
}

void JsonWriter::string(std::string_view text) {
  out_ += '"';
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size() && is_plain(text[plain])) ++plain;
    out_ += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    std::size_t length = utf8_length(text);
    if (length == 0) {
      out_ += "\\ufffd";
      length = 1;
    } else if (length == 1) {
      escape_ascii(out_, text[0]);
    } else if (text.starts_with("\u2028")) {
      out_ += "\\u2028";
    } else if (text.starts_with("\u2029")) {
      out_ += "\\u2029";
    } else {
      out_ += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out_ += '"';
}

std::string JsonWriter::take() {
  first_ = true;
  return std::exchange(out_, {});
}

}  // namespace slipway::oci
