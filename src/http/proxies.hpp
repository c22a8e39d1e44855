// Proxies: which one a URL is asked through, as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say.
//
//   const Proxies proxies = TRY(Proxies::from(environment));
//   const std::string proxy = proxies.for_url(url);          // "" for none; may hold a password: never shown
//
// The lower-case name counts before the upper-case one, and a variable that is set and empty means none. HTTP_PROXY in
// upper case is not read in a CGI program (REQUEST_METHOD is set), where a client's header could have set it. NO_PROXY:
// names separated by commas or blanks; "example.com" and ".example.com" hold for it and what is below it, with ":PORT"
// for that port only; an address, or a network "10.0.0.0/8", for hosts written as addresses; "*" for everything.
// Loopback hosts are never asked through a proxy.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "http/address.hpp"
#include "http/url.hpp"

namespace slipway::http {

class Proxies {
 public:
  Proxies() = default;  ///< none
  /// kInvalidArgument, naming the variable and never its value, for what is no proxy: schemes are http, https, socks4,
  /// socks4a, socks5, socks5h; none written means http.
  static Result<Proxies> from(const std::function<std::optional<std::string>(const std::string& name)>& variable);
  /// The proxy for a URL, user and password included; "" to connect without one.
  [[nodiscard]] std::string for_url(const Url& url) const;

 private:
  struct Exception {
    std::string name;  ///< lower case, without a leading dot; empty: a network
    int port = 0;      ///< 0: any
    Network network;
  };
  [[nodiscard]] static Exception parse_exception(std::string_view text);
  [[nodiscard]] bool excepted(const Url& url) const;

  std::string http_, https_;
  std::vector<Exception> exceptions_;
  bool none_ = false;  ///< NO_PROXY=*
};

}  // namespace slipway::http
