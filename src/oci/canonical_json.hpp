// JsonWriter: JSON exactly as Go's encoding/json writes it (json.Marshal, Go 1.22 and later), for bytes that are
// hashed.
//
//   JsonWriter json;
//   json.begin_object();
//   json.member("schemaVersion", 2);
//   json.nonempty("author", author);              // Go's omitempty
//   json.key("rootfs");
//   json.begin_object();
//   json.member("diff_ids", texts);               // vector<string>; map<string, string> works too
//   json.end_object();
//   json.end_object();
//   const std::string bytes = json.take();
//
// No blanks; members in the order of the calls; `<` `>` `&` U+2028 U+2029 as \u003c…; control characters as \b \f \n \r
// \t or \u00XX; every byte that is not UTF-8 as \ufffd. The caller keeps begin/end and key/value in step: a value
// without its key, or a missing end, is a bug that the writer does not look for.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::oci {

class JsonWriter {
 public:
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  /// The name of the value that the next call writes.
  void key(std::string_view name);

  void value(std::string_view text);
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(const char* text) { value(std::string_view(text)); }
  template <std::same_as<bool> T>
  void value(T flag) {
    literal(flag ? "true" : "false");
  }
  template <std::signed_integral T>
  void value(T number) {
    integer(number);
  }
  void value(const std::vector<std::string>& texts);
  void value(const std::map<std::string, std::string>& texts);
  void null() { literal("null"); }
  /// Bytes that are one JSON value already, unchanged.
  void raw(std::string_view json) { literal(json); }

  template <class T>
  void member(std::string_view name, const T& content) {
    key(name);
    value(content);
  }
  /// member(), unless `content` is what Go's omitempty leaves out: "", 0, false, an empty list or map.
  template <class T>
  void nonempty(std::string_view name, const T& content) {
    if (!(content == T{})) member(name, content);
  }
  /// A set as Docker writes it: {"80/tcp":{},"81/tcp":{}}; left out when empty. `names` are sorted and unique.
  void nonempty_set(std::string_view name, const std::vector<std::string>& names);

  /// The text; the writer is empty afterwards.
  [[nodiscard]] std::string take();

 private:
  void open(char bracket);
  void close(char bracket);
  void literal(std::string_view text);
  void integer(std::int64_t number);
  void separate();
  void string(std::string_view text);
  std::string out_;
  bool first_ = true;  // no comma before the next value
};

}  // namespace slipway::oci
