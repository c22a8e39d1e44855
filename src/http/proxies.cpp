#include "http/proxies.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace slipway::http {
namespace {

using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

constexpr std::size_t kProxyLimit = 4096;
constexpr std::size_t kMostExceptions = 10'000;
constexpr std::string_view kSchemes[] = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"};

/// What is wrong with the text is not said with the text: it may hold a password.
Result<std::string> parse_proxy(const std::string& name, std::string_view text) {
  text = trim(text);
  if (text.empty()) return std::string();
  const auto refused = [&](const char* why) {
    return fail(Code::kInvalidArgument, "{} holds no proxy: {}", name, why);
  };
  if (text.size() > kProxyLimit) return refused("it is too long");
  const auto colon = text.find("://");
  const std::string scheme = colon == std::string_view::npos ? "http" : lower(text.substr(0, colon));
  if (std::find(std::begin(kSchemes), std::end(kSchemes), scheme) == std::end(kSchemes))
    return refused("its scheme is none of http, https, socks4, socks4a, socks5, socks5h");
  std::string_view rest = colon == std::string_view::npos ? text : text.substr(colon + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  const auto at = rest.rfind('@');
  const std::string_view user = at == std::string_view::npos ? std::string_view() : rest.substr(0, at);
  const std::string_view authority = at == std::string_view::npos ? rest : rest.substr(at + 1);
  if (std::any_of(user.begin(), user.end(), [](char c) { return c <= 0x20 || c == 0x7f; }))
    return refused("its user name holds blanks or control characters");
  if (!Url::parse(fmt::format("http://{}/", authority))) return refused("it has no valid HOST[:PORT]");
  return fmt::format("{}://{}", scheme, rest);
}

/// The first of the names that is set, with the name.
Result<std::string> read(const Lookup& variable, const std::vector<std::string>& names) {
  for (const auto& name : names)
    if (const auto value = variable(name)) return parse_proxy(name, *value);
  return std::string();
}

}  // namespace

Proxies::Exception Proxies::parse_exception(std::string_view text) {
  Exception made;
  if (const auto network = Network::parse(text)) {
    made.network = *network;
    return made;
  }
  std::string_view host = text;
  const auto colon = text.rfind(':');
  const bool bare_v6 = parse_address(text).has_value();
  if (colon != std::string_view::npos && !bare_v6) {
    if (const auto port = parse_size(text.substr(colon + 1)); port && *port >= 1 && *port <= 65535) {
      made.port = static_cast<int>(*port);
      host = text.substr(0, colon);
    }
  }
  if (const auto address = parse_address(host)) {
    made.network = {*address, 128};
    return made;
  }
  if (host.starts_with("*.")) host.remove_prefix(1);
  while (host.starts_with('.')) host.remove_prefix(1);
  made.name = lower(host);
  return made;
}

Result<Proxies> Proxies::from(const Lookup& variable) {
  Proxies made;
  std::vector<std::string> http = {"http_proxy"};
  if (!variable("REQUEST_METHOD")) http.emplace_back("HTTP_PROXY");
  std::vector<std::string> https = {"https_proxy", "HTTPS_PROXY"};
  for (auto* names : {&http, &https}) names->insert(names->end(), {"all_proxy", "ALL_PROXY"});
  made.http_ = TRY(read(variable, http));
  made.https_ = TRY(read(variable, https));
  auto list = variable("no_proxy");
  if (!list) list = variable("NO_PROXY");
  std::string text = list.value_or("");
  std::replace_if(text.begin(), text.end(), [](char c) { return c == ' ' || c == '\t' || c == '\n'; }, ',');
  for (const auto word : split(text, ',')) {
    if (word.empty()) continue;
    if (made.exceptions_.size() >= kMostExceptions)
      return fail(Code::kOutOfRange, "NO_PROXY names more than {} hosts", kMostExceptions);
    if (word == "*") made.none_ = true;
    Exception exception = parse_exception(word);
    if (!exception.name.empty() || exception.network.bits > 0 || word.contains('/'))
      made.exceptions_.push_back(std::move(exception));
  }
  return made;
}

bool Proxies::excepted(const Url& url) const {
  if (none_ || url.loopback()) return true;
  const auto address = parse_address(url.host());
  return std::any_of(exceptions_.begin(), exceptions_.end(), [&](const Exception& exception) {
    if (exception.port != 0 && exception.port != url.port()) return false;
    if (exception.name.empty()) return address && exception.network.holds(*address);
    return url.host() == exception.name || url.host().ends_with("." + exception.name);
  });
}

std::string Proxies::for_url(const Url& url) const {
  const std::string& proxy = url.scheme() == "https" ? https_ : http_;
  return proxy.empty() || excepted(url) ? std::string() : proxy;
}

}  // namespace slipway::http
