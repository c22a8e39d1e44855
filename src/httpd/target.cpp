#include "httpd/target.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace slipway::httpd {
namespace {

constexpr std::size_t kMostParameters = 256;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += plus_is_blank && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return fail(Code::kInvalidArgument, "the request target has a broken percent escape");
    const auto byte = static_cast<unsigned char>(high * 16 + low);
    if (byte < 0x20 || byte == 0x7f) return fail(Code::kInvalidArgument, "the request target has a control character");
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

/// "http://host:port/path" → "/path".
std::string_view origin_form(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!lower(text.substr(0, scheme.size())).starts_with(scheme)) continue;
    const auto slash = text.find_first_of("/?", scheme.size());
    return slash == std::string_view::npos ? "/" : text.substr(slash);
  }
  return text;
}

}  // namespace

Result<Target> Target::parse(std::string_view text) {
  const auto odd = [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f;
  };
  if (std::ranges::any_of(text, odd)) return fail(Code::kInvalidArgument, "the request target is not printable ASCII");
  const std::string_view origin = origin_form(text);
  if (!origin.starts_with('/')) return fail(Code::kInvalidArgument, "the request target is no path");
  if (origin.contains('#')) return fail(Code::kInvalidArgument, "the request target has a fragment");
  Target out;
  out.text_ = text;
  const auto mark = origin.find('?');
  out.path_ = TRY(decode(origin.substr(0, mark), false));
  if (mark == std::string_view::npos) return out;
  for (const std::string_view pair : split(origin.substr(mark + 1), '&')) {
    if (pair.empty()) continue;
    if (out.query_.size() == kMostParameters)
      return fail(Code::kInvalidArgument, "the request target has more than {} parameters", kMostParameters);
    const auto equals = pair.find('=');
    std::string name = TRY(decode(pair.substr(0, equals), true));
    std::string value;
    if (equals != std::string_view::npos) value = TRY(decode(pair.substr(equals + 1), true));
    out.query_.emplace_back(std::move(name), std::move(value));
  }
  return out;
}

std::optional<std::string> Target::query(std::string_view name) const {
  const auto found = std::ranges::find(query_, name, &std::pair<std::string, std::string>::first);
  return found == query_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> Target::queries(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : query_)
    if (key == name) values.push_back(value);
  return values;
}

}  // namespace slipway::httpd
