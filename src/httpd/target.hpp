// Target: the request target of a request line, taken apart.
//
//   const Target target = TRY(Target::parse("/v2/team/app/tags/list?n=10&last=a%2Bb"));
//   target.path()           → "/v2/team/app/tags/list"
//   target.query("last")    → "a+b"
//
// RFC 9112 section 3.2: origin form and absolute form (whose authority is ignored). Percent escapes are decoded once;
// a broken escape, a NUL, a control character or a byte that is not ASCII is an error. "." and ".." mean nothing here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace slipway::httpd {

class Target {
 public:
  static Result<Target> parse(std::string_view text);
  [[nodiscard]] const std::string& text() const { return text_; }  ///< as it came
  [[nodiscard]] const std::string& path() const { return path_; }  ///< decoded; begins with "/"
  /// The first value of that name, decoded; '+' is a blank.
  [[nodiscard]] std::optional<std::string> query(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> queries(std::string_view name) const;

 private:
  Target() = default;
  std::string text_, path_;
  std::vector<std::pair<std::string, std::string>> query_;
};

}  // namespace slipway::httpd
