// Json: foreign JSON, read only. Limits before parsing, no recursion, errors that name the place ("layers[3].size").
//
//   const Json document = TRY(Json::parse(body, {.bytes = 1 << 20}));
//   const std::string_view token = TRY(document.need_string("token"));
//   if (const auto expires = document.find("expires_in")) seconds = TRY(expires->as_int63());
//   for (const Json layer : TRY(document.list("layers"))) …;
//   for (const Json label : TRY(document.map("Labels"))) use(label.key(), TRY(label.as_string()));
//
// Stricter than RFC 8259 where readers would differ: a name given twice in one object, a byte order mark, bytes that
// are not UTF-8 and anything after the value are refused. `null` counts as absent (find, list, map), as Go's decoder
// takes it. Strings are kept as they came, with control characters and all: show them through printable() or quoted().
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::oci {

/// What a document may cost; beyond it parse() answers kResourceExhausted.
struct JsonLimits {
  std::size_t bytes = 8 << 20;   ///< of the text
  std::size_t depth = 64;        ///< objects and arrays inside each other
  std::size_t values = 1 << 18;  ///< of all kinds together; each takes 32 bytes of memory
};

/// A value in a parsed document. A cheap copy that keeps the whole document alive; any thread may read.
class Json {
 public:
  enum class Kind : unsigned char { kNull, kBool, kNumber, kString, kArray, kObject };
  class Range;

  static Result<Json> parse(std::string_view text, const JsonLimits& limits = {});

  [[nodiscard]] Kind kind() const;
  [[nodiscard]] bool is_null() const { return kind() == Kind::kNull; }
  [[nodiscard]] bool is_string() const { return kind() == Kind::kString; }
  [[nodiscard]] bool is_array() const { return kind() == Kind::kArray; }
  [[nodiscard]] bool is_object() const { return kind() == Kind::kObject; }

  // The value as one type; another kind is kInvalidArgument. Views live as long as any Json of the document.
  [[nodiscard]] Result<std::string_view> as_string() const;
  [[nodiscard]] Result<bool> as_bool() const;
  /// A whole number from 0 to 2^63-1 written without fraction or exponent; never clamped.
  [[nodiscard]] Result<std::int64_t> as_int63() const;
  /// The same from -2^63 to 2^63-1.
  [[nodiscard]] Result<std::int64_t> as_int64() const;
  [[nodiscard]] Result<double> as_double() const;  ///< any number
  /// An array of strings. `null` is an empty one.
  [[nodiscard]] Result<std::vector<std::string>> as_strings() const;

  /// Elements of an array, members of an object (in the order of the text), or nothing of any other kind.
  [[nodiscard]] Range children() const;
  [[nodiscard]] std::size_t size() const;      ///< number of children
  [[nodiscard]] std::string_view key() const;  ///< a member's name; "" for what is no member
  [[nodiscard]] std::string path() const;      ///< "layers[3].size", made printable; "the document" for the root

  // Members of an object. Asking a value of another kind is like asking an object that has none.
  /// The member; nothing when it is absent or null. Linear in the number of members.
  [[nodiscard]] std::optional<Json> find(std::string_view name) const;
  /// The member; kInvalidArgument when it is absent or null.
  [[nodiscard]] Result<Json> at(std::string_view name) const;
  /// The string `name`; kInvalidArgument when it is absent, null or something else.
  [[nodiscard]] Result<std::string_view> need_string(std::string_view name) const;
  /// The number `name` as as_int63(), likewise.
  [[nodiscard]] Result<std::int64_t> need_int63(std::string_view name) const;
  /// The elements of the array `name`; none when it is absent or null, an error when it is something else.
  [[nodiscard]] Result<Range> list(std::string_view name) const;
  /// The members of the object `name`, likewise.
  [[nodiscard]] Result<Range> map(std::string_view name) const;
  /// The string `name`; "" when it is absent or null.
  [[nodiscard]] Result<std::string> string(std::string_view name) const;
  /// The bool `name`; false when it is absent or null.
  [[nodiscard]] Result<bool> boolean(std::string_view name) const;
  /// The number `name` as as_int63(); 0 when it is absent or null.
  [[nodiscard]] Result<std::int64_t> int63(std::string_view name) const;

  /// This value is an object, or an error.
  [[nodiscard]] Status require_object() const;
  /// Fails when a member is spelt like one of `names` but for its case: Go's decoder takes such a member for the named
  /// one (also U+017F for s, U+212A for k) and we would not, so one digest would have two readings.
  [[nodiscard]] Status refuse_lookalikes(std::initializer_list<std::string_view> names) const;

 private:
  struct Node;
  struct Document;
  class Builder;
  Json(std::shared_ptr<const Document> document, std::uint32_t index) : document_(std::move(document)), index_(index) {}
  [[nodiscard]] const Node& node() const;
  [[nodiscard]] std::string child_path(std::string_view name) const;
  [[nodiscard]] Error mismatch(std::string_view wanted) const;
  std::shared_ptr<const Document> document_;
  std::uint32_t index_;
};

/// The children of a value: `for (const Json child : range)`. Name it, or make it with TRY in the loop's head:
/// `for (… : json.list("x").value())` walks a Range that is gone already (C++23's fix of that is not in g++ 12).
class Json::Range {
 public:
  class Iterator {
   public:
    using value_type = Json;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    Json operator*() const;
    Iterator& operator++();
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.index_ == b.index_; }

   private:
    friend class Range;
    Iterator(const Range* range, std::uint32_t index) : range_(range), index_(index) {}
    const Range* range_;
    std::uint32_t index_;
  };
  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] Iterator end() const;
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  friend class Json;
  Range() = default;
  explicit Range(const Json& parent);
  std::shared_ptr<const Document> document_;
  std::uint32_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace slipway::oci
