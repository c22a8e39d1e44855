// Value: what `--format` templates and `inspect` work on: JSON as data, members in the order they were added.
//
//   Value row = Value::Object{{"Repository", "app"}, {"Tag", "1"}};
//   row.json();                  // {"Repository":"app","Tag":"1"}
//   row.find("Tag")->text();     // 1
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace slipway::cli {

class Value {
 public:
  using Array = std::vector<Value>;
  using Object = std::vector<std::pair<std::string, Value>>;

  Value() = default;  ///< null
  Value(bool flag) : data_(flag) {}
  Value(int number) : data_(std::int64_t{number}) {}
  Value(std::int64_t number) : data_(number) {}
  Value(std::string text) : data_(std::move(text)) {}
  Value(std::string_view text) : data_(std::string(text)) {}
  Value(const char* text) : data_(std::string(text)) {}
  Value(Array items) : data_(std::move(items)) {}
  Value(Object members) : data_(std::move(members)) {}
  static Value of(const std::vector<std::string>& texts);
  static Value of(const std::map<std::string, std::string>& texts);

  [[nodiscard]] bool is_null() const { return data_.index() == 0; }
  [[nodiscard]] const std::string* string() const { return std::get_if<std::string>(&data_); }
  [[nodiscard]] const std::int64_t* number() const { return std::get_if<std::int64_t>(&data_); }
  [[nodiscard]] const Array* array() const { return std::get_if<Array>(&data_); }
  [[nodiscard]] const Object* object() const { return std::get_if<Object>(&data_); }
  /// The member of an object, or null when there is none (or this is no object).
  [[nodiscard]] const Value* find(std::string_view key) const;
  /// What a Go template's `if` takes for true: not null, false, 0, "", [] or {}.
  [[nodiscard]] bool truthy() const;

  /// As a Go template prints it: text as it is, "[a b]", "map[k:v]", "<no value>" for null. Foreign text is made safe
  /// for a terminal but keeps line feeds and tabs.
  [[nodiscard]] std::string text() const;
  /// One line, as Go's encoder without HTML escapes; bytes that are no UTF-8 become U+FFFD, and characters that a
  /// terminal would act on are written as \uXXXX.
  [[nodiscard]] std::string json() const;
  /// Over many lines, `indent` blanks a level: what `docker inspect` prints.
  [[nodiscard]] std::string json_indented(int indent) const;

 private:
  void write(std::string& out, int indent, int level) const;
  std::variant<std::monostate, bool, std::int64_t, std::string, Array, Object> data_;
};

/// A JSON string with its quotes, escaped as json() does.
void append_json_string(std::string& out, std::string_view text);

}  // namespace slipway::cli
