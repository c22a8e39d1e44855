#include "oci/reference.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/address.hpp"
#include "base/text.hpp"

// The grammar is that of distribution/reference (regexp.go), matched by hand: one pass, no backtracking. Stricter in
// two places where Docker accepts a name that it can then not use: a registry that is no host name, and a port above
// 65535.

namespace slipway::oci {
namespace {

constexpr std::string_view kDefaultRegistry = "docker.io";
constexpr std::string_view kLegacyRegistry = "index.docker.io";
constexpr std::string_view kOfficial = "library/";
constexpr std::size_t kNameLimit = 255;
constexpr std::size_t kTagLimit = 128;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool is_identifier(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit) &&
         parse_size(text).value_or(65536) <= 65535;
}

/// A label of a host name: letters, digits and inner dashes.
bool is_label(std::string_view text) {
  return !text.empty() && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

bool is_registry(std::string_view text) {
  if (text.size() > kNameLimit) return false;
  std::string_view host = text;
  const auto colon = text.find(':', text.starts_with('[') ? text.find(']') : 0);
  if (colon != std::string_view::npos) {
    if (!is_port(text.substr(colon + 1))) return false;
    host = text.substr(0, colon);
  }
  if (host.starts_with('[')) {  // IPv6, without a zone
    return host.size() > 2 && host.ends_with(']') &&
           std::all_of(host.begin() + 1, host.end() - 1, [](char c) { return is_hex(c) || c == ':'; });
  }
  const auto labels = split(host, '.');
  return std::all_of(labels.begin(), labels.end(), is_label);
}

/// Runs of lower-case letters and digits, joined by one '.', one or two '_', or any number of '-'.
bool is_path_component(std::string_view text) {
  if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
  for (std::size_t i = 0; i < text.size();) {
    if (is_lower_alnum(text[i])) {
      ++i;
      continue;
    }
    const char separator = text[i];
    const std::size_t end = std::min(text.find_first_not_of(separator, i), text.size());
    const std::size_t length = end - i;
    const bool good = separator == '-' || (separator == '.' && length == 1) || (separator == '_' && length <= 2);
    if (!good || !is_lower_alnum(text[end])) return false;
    i = end;
  }
  return true;
}

bool is_repository(std::string_view text) {
  const auto components = split(text, '/');
  return std::all_of(components.begin(), components.end(), is_path_component);
}

struct Name {
  std::string registry, rest;
};

/// Docker's rule for the part before the first slash: a registry when it is "localhost", has a '.' or ':', or has an
/// upper case letter (which no repository can have); else the name lies on Docker Hub.
Name split_registry(std::string_view text) {
  const auto slash = text.find('/');
  const std::string_view first = text.substr(0, slash);
  Name name{std::string(kDefaultRegistry), std::string(text)};
  if (slash != std::string_view::npos &&
      (first == "localhost" || first.find_first_of(".:") != std::string_view::npos || lower(first) != first)) {
    name = {std::string(first == kLegacyRegistry ? kDefaultRegistry : first), std::string(text.substr(slash + 1))};
  }
  if (name.registry == kDefaultRegistry && name.rest.find('/') == std::string::npos) {
    name.rest.insert(0, kOfficial);
  }
  return name;
}

}  // namespace

bool Reference::is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kTagLimit && (is_alnum(text[0]) || text[0] == '_') &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

Result<Reference> Reference::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, "{} is not an image name: {}", quoted_address(text), why);
  };
  if (text.empty()) return bad("it is empty");
  if (!user_information(text).empty())
    return bad("a user and a password do not go into it, 'slipway login' keeps them");
  if (text.contains("://")) return bad("it begins with the registry's host[:port], without https://");
  if (is_identifier(text)) return bad("64 hexadecimal digits are an image id");
  const auto at = text.find('@');
  Name name = split_registry(text.substr(0, at));
  Reference out;
  if (at != std::string_view::npos) {
    out.digest_ =
        TRY(context(Digest::parse(text.substr(at + 1)), "while reading the image name {}", quoted(text, 300)));
  }
  const auto colon = name.rest.find(':');
  if (colon != std::string::npos) {
    out.tag_ = name.rest.substr(colon + 1);
    name.rest.resize(colon);
    if (!is_tag(out.tag_)) {
      return bad("a tag has 1 to 128 letters, digits, '_', '.' or '-' and begins with none of the last two");
    }
  }
  if (lower(name.rest) != name.rest) return bad("the repository must be lower case");
  if (!is_registry(name.registry)) return bad("the part before the first '/' is not a registry's host[:port]");
  if (name.rest.size() > kNameLimit) return bad("the repository is longer than 255 characters");
  if (!is_repository(name.rest)) {
    return bad("a repository is made of lower case letters and digits, joined by '.', '_', '__', '-' or '/'");
  }
  if (out.tag_.empty() && !out.digest_) out.tag_ = "latest";
  out.registry_ = std::move(name.registry);
  out.repository_ = std::move(name.rest);
  return out;
}

std::string Reference::suffix() const {
  std::string out;
  if (!tag_.empty()) out += ":" + tag_;
  if (digest_) out += "@" + digest_->text();
  return out;
}

std::string Reference::canonical() const { return registry_ + "/" + repository_ + suffix(); }
std::string Reference::familiar() const { return familiar_name() + suffix(); }

std::string Reference::familiar_name() const {
  const std::string full = registry_ + "/" + repository_;
  if (registry_ != kDefaultRegistry) return full;
  const std::string_view name = repository_;
  const bool official = name.starts_with(kOfficial) && name.find('/', kOfficial.size()) == std::string_view::npos;
  const std::string_view familiar = official ? name.substr(kOfficial.size()) : name;
  // "docker.io/localhost/x" must not be shown as "localhost/x", which is another image (Docker shows it so).
  const Name meant = split_registry(familiar);
  return meant.registry == registry_ && meant.rest == repository_ ? std::string(familiar) : full;
}

Reference Reference::with_tag(std::string tag) const {
  if (!is_tag(tag)) throw std::invalid_argument("with_tag: not a tag");
  Reference out = *this;
  out.tag_ = std::move(tag);
  return out;
}

Reference Reference::with_digest(const Digest& digest) const {
  Reference out = *this;
  out.digest_ = digest;
  return out;
}

}  // namespace slipway::oci
