#include "http/url.hpp"

#include <algorithm>
#include <cctype>

#include "base/address.hpp"
#include "base/text.hpp"

namespace slipway::http {
namespace {

constexpr std::size_t kTextLimit = 16 * 1024;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// What may stand in a path or query as it is; everything else must have come percent-encoded.
bool is_target_char(char c) {
  return c > 0x20 && c < 0x7f && c != '\\' && c != '"' && c != '<' && c != '>' && c != '#';
}

bool is_dotted_quad(std::string_view host) {
  const auto parts = split(host, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           const auto number = parse_size(part);
           return number && *number <= 255 && (part.size() == 1 || part[0] != '0');
         });
}

/// Whether inet_aton() and browsers would take it for an IPv4 address: "127.1", "0x7f000001", "017700000001".
bool looks_like_a_number(std::string_view host) {
  while (host.ends_with('.')) host.remove_suffix(1);
  std::string_view last = host.substr(host.rfind('.') + 1);
  const bool hex = last.starts_with("0x");  // hosts are in lower case here
  if (hex) last.remove_prefix(2);
  return std::all_of(last.begin(), last.end(),
                     [&](char c) { return is_digit(c) || (hex && std::isxdigit(static_cast<unsigned char>(c)) != 0); });
}

bool is_host(std::string_view host) {
  if (host.size() > 255 || host.empty()) return false;
  if (host.front() == '[') {
    return host.size() > 3 && host.back() == ']' && std::all_of(host.begin() + 1, host.end() - 1, [](char c) {
             return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' || c == '.';
           });
  }
  if (looks_like_a_number(host) && !is_dotted_quad(host)) return false;
  return host.front() != '-' && host.front() != '.' &&
         std::all_of(host.begin(), host.end(), [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

Result<int> parse_port(std::string_view digits) {
  const auto port = parse_size(digits);
  if (!port || *port < 1 || *port > 65535)
    return fail(Code::kInvalidArgument, "port {} is not 1..65535", quoted(digits));
  return static_cast<int>(*port);
}

int port_of(std::string_view scheme) { return scheme == "https" ? 443 : 80; }

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  if (text.size() > kTextLimit) return fail(Code::kOutOfRange, "a URL of {} bytes is too long", text.size());
  Url url;
  const auto colon = text.find("://");
  if (colon == std::string_view::npos)
    return fail(Code::kInvalidArgument, "{} is not a URL", quoted_address(text, 1024));
  url.scheme_ = lower(text.substr(0, colon));
  if (url.scheme_ != "http" && url.scheme_ != "https")
    return fail(Code::kInvalidArgument, "{} is neither http nor https", quoted_address(text, 1024));
  std::string_view rest = text.substr(colon + 3);
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, end);
  std::string_view target = rest.substr(end);
  target = target.substr(0, target.find('#'));  // fragments are the reader's own business and never sent
  if (authority.find('@') != std::string_view::npos)
    return fail(Code::kInvalidArgument, "a URL at {} carries user information, which is refused",
                quoted(authority.substr(authority.rfind('@') + 1)));
  const auto after_host = authority.starts_with('[') ? authority.find(']') : std::string_view::npos;
  const auto port_colon = authority.find(':', after_host == std::string_view::npos ? 0 : after_host);
  url.host_ = lower(authority.substr(0, port_colon));
  url.port_ = port_of(url.scheme_);
  if (!is_host(url.host_)) return fail(Code::kInvalidArgument, "{} has no valid host", quoted(text));
  if (port_colon != std::string_view::npos) url.port_ = TRY(parse_port(authority.substr(port_colon + 1)));
  if (!std::all_of(target.begin(), target.end(), is_target_char))
    return fail(Code::kInvalidArgument, "{} holds characters that a URL may not have", quoted(text));
  const auto question = std::min(target.find('?'), target.size());
  url.path_ = question == 0 ? "/" : std::string(target.substr(0, question));
  url.query_ = target.substr(question);
  return url;
}

Result<Url> Url::resolve(std::string_view reference) const {
  if (reference.size() > kTextLimit) return fail(Code::kOutOfRange, "a URL of {} bytes is too long", reference.size());
  const auto first_special = reference.find_first_of(":/?#");
  if (first_special != std::string_view::npos && reference[first_special] == ':') return parse(reference);
  if (reference.starts_with("//")) return parse(scheme_ + ":" + std::string(reference));
  if (reference.starts_with('/')) return parse(origin() + std::string(reference));
  if (reference.starts_with('?') || reference.empty()) return parse(origin() + path_ + std::string(reference));
  return parse(origin() + path_.substr(0, path_.rfind('/') + 1) + std::string(reference));
}

std::string Url::authority() const { return port_ == port_of(scheme_) ? host_ : fmt::format("{}:{}", host_, port_); }
std::string Url::origin() const { return scheme_ + "://" + authority(); }

Url Url::with_query(std::string_view key, std::string_view value) const {
  Url url = *this;
  url.query_ += url.query_.empty() ? '?' : '&';
  url.query_ += percent_encode(key) + "=" + percent_encode(value);
  return url;
}

bool Url::loopback() const { return is_loopback_host(host_); }

bool is_loopback_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "::1" || lower(host) == "localhost") return true;
  return host.starts_with("127.") && is_dotted_quad(host);
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace slipway::http
