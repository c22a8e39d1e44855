// Url: an http(s) address, strict enough that no two parsers can read it differently.
//
//   const Url realm = TRY(Url::parse("https://auth.example.com/token?service=x"));
//   const Url next = TRY(current.resolve(location));        // a Location header, absolute or relative
//   if (!next.same_origin(current)) …                        // credentials stay behind
//
// Refused: other schemes, user information ("user@host": credentials would ride in a redirect), white space, control
// and non-ASCII characters, backslashes, hosts outside [A-Za-z0-9._-] or a bracketed IPv6 address, numbers that some
// take for an IPv4 address ("127.1", "0x7f000001"), texts over 16 KiB.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::http {

class Url {
 public:
  static Result<Url> parse(std::string_view text);
  /// RFC 3986 section 5 for what registries send: absolute, "//host/…", "/path", "path", "?query".
  [[nodiscard]] Result<Url> resolve(std::string_view reference) const;
  [[nodiscard]] const std::string& scheme() const { return scheme_; }  ///< "http" or "https"
  [[nodiscard]] const std::string& host() const { return host_; }      ///< lower case; IPv6 in brackets
  [[nodiscard]] int port() const { return port_; }                     ///< the scheme's own when none is written
  [[nodiscard]] std::string target() const { return path_ + query_; }  ///< "/path?query"
  [[nodiscard]] std::string origin() const;     ///< "https://host:port", the port left out when it is the scheme's
  [[nodiscard]] std::string authority() const;  ///< "host" or "host:port", likewise
  [[nodiscard]] std::string text() const { return origin() + target(); }
  /// Adds "key=value" to the query, the value percent-encoded.
  [[nodiscard]] Url with_query(std::string_view key, std::string_view value) const;
  [[nodiscard]] bool same_origin(const Url& other) const {
    return scheme_ == other.scheme_ && host_ == other.host_ && port_ == other.port_;
  }
  [[nodiscard]] bool loopback() const;

 private:
  Url() = default;
  std::string scheme_, host_, path_, query_;  ///< query with its '?', or empty
  int port_ = 0;
};

/// 127.0.0.0/8 in dotted form, "::1" (with or without brackets), "localhost". Names that merely resolve there do not
/// count: a resolver is not to decide who may be spoken to in plain text.
[[nodiscard]] bool is_loopback_host(std::string_view host);

/// Everything but RFC 3986's unreserved characters as %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace slipway::http
