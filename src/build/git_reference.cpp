#include "build/git_reference.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "http/url.hpp"

namespace slipway::build {
namespace {

constexpr std::size_t kLongest = 4096;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_word_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
}

/// Of a user or host: nothing that ssh could read as an option.
bool is_word(std::string_view text) {
  return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), is_word_char);
}

bool is_path(std::string_view text) {
  return !text.empty() && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '\\' && c != '"'; });
}

/// git-check-ref-format(1), for what may also be a part of a full name.
bool is_ref(std::string_view ref) {
  if (ref.empty() || ref.size() > kLongest || ref.front() == '-' || ref.front() == '/' || ref.front() == '+')
    return false;
  if (ref.ends_with('/') || ref.ends_with('.') || ref.ends_with(".lock") || ref.contains("..") || ref.contains("//") ||
      ref.contains("@{") || ref.contains("/.") || ref.front() == '.')
    return false;
  return std::none_of(ref.begin(), ref.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || std::string_view("~^:?*[\\").contains(c);
  });
}

/// "user@host:path" split; nothing when it is not of that form.
struct ScpParts {
  std::string_view user, host, path;
};
std::optional<ScpParts> scp_parts(std::string_view text) {
  const auto at = text.find('@');
  const auto colon = text.find(':', at == std::string_view::npos ? 0 : at);
  if (at == std::string_view::npos || colon == std::string_view::npos) return std::nullopt;
  const ScpParts parts{text.substr(0, at), text.substr(at + 1, colon - at - 1), text.substr(colon + 1)};
  if (!is_word(parts.user) || !is_word(parts.host) || parts.path.starts_with("//")) return std::nullopt;
  return parts;
}

std::string scheme_of(std::string_view text) {
  const auto colon = text.find("://");
  return colon == std::string_view::npos ? "" : lower(text.substr(0, colon));
}

/// `text` without fragment and query.
std::string_view address_of(std::string_view text) { return text.substr(0, text.find_first_of("?#")); }

/// scheme://[user@]host[:port]/path of git and ssh.
bool is_plain_address(std::string_view address) {
  std::string_view rest = address.substr(address.find("://") + 3);
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return false;
  std::string_view authority = rest.substr(0, slash);
  if (const auto at = authority.find('@'); at != std::string_view::npos) {
    if (!is_word(authority.substr(0, at))) return false;
    authority = authority.substr(at + 1);
  }
  if (const auto colon = authority.rfind(':'); colon != std::string_view::npos && !authority.ends_with(']')) {
    const auto port = parse_size(authority.substr(colon + 1));
    if (!port || *port > 65535) return false;
    authority = authority.substr(0, colon);
  }
  const bool bracketed = authority.size() > 3 && authority.front() == '[' && authority.back() == ']' &&
                         authority.find_first_not_of("0123456789abcdefABCDEF:.", 1) == authority.size() - 1;
  return (is_word(authority) || bracketed) && is_path(rest.substr(slash));
}

Result<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const std::string digits = lower(text.substr(i + 1, 2));
      if (digits.size() != 2 || !is_hex(digits))
        return fail(Code::kInvalidArgument, "invalid URL escape in {}", quoted(text));
      out += static_cast<char>(std::stoi(digits, nullptr, 16));
      i += 2;
    }
  }
  return out;
}

Result<bool> boolean(const std::string& key, const std::string& value) {
  if (value.empty()) return true;  // the key alone
  static const std::map<std::string, bool> kWords = {
      {"1", true},  {"t", true},  {"T", true},  {"true", true},   {"TRUE", true},   {"True", true},
      {"0", false}, {"f", false}, {"F", false}, {"false", false}, {"FALSE", false}, {"False", false}};
  const auto found = kWords.find(value);
  if (found == kWords.end()) return fail(Code::kInvalidArgument, "invalid {} value: {}", key, quoted(value));
  return found->second;
}

Result<std::map<std::string, std::string>> query_of(std::string_view text) {
  std::map<std::string, std::string> query;
  if (text.empty()) return query;
  for (const auto part : split(text, '&')) {
    const auto equals = part.find('=');
    const std::string key = TRY(decoded(part.substr(0, equals)));
    const std::string value = equals == std::string_view::npos ? "" : TRY(decoded(part.substr(equals + 1)));
    if (!query.emplace(key, value).second)
      return fail(Code::kInvalidArgument, "query {} has multiple values", quoted(key));
    if (value.empty() && key != "submodules" && key != "keep-git-dir")
      return fail(Code::kInvalidArgument, "query {} has no value", quoted(key));
  }
  return query;
}

Status set_once(std::string& field, std::string value, std::string_view what) {
  if (!field.empty() && field != value)
    return fail(Code::kInvalidArgument, "{} conflicts: {} vs {}", what, quoted(field), quoted(value));
  field = std::move(value);
  return {};
}

std::string full_name(const std::string& name, std::string_view prefix) {
  return name.starts_with(prefix) ? name : std::string(prefix) + name;
}

Status take_query(GitReference& git, const std::map<std::string, std::string>& query) {
  for (const auto& [key, value] : query) {
    if (key == "ref") {
      TRY(set_once(git.ref, value, "ref"));
    } else if (key == "subdir") {
      TRY(set_once(git.subdir, value, "subdir"));
    } else if (key == "checksum" || key == "commit") {
      TRY(set_once(git.checksum, value, "checksum"));
    } else if (key == "keep-git-dir") {
      git.keep_git_dir = TRY(boolean(key, value));
    } else if (key == "submodules") {
      git.submodules = TRY(boolean(key, value));
    } else if (key != "tag" && key != "branch") {
      return fail(Code::kInvalidArgument, "unexpected query {}", quoted(key));
    }
  }
  if (query.contains("tag") && query.contains("branch"))
    return fail(Code::kInvalidArgument, "branch conflicts with tag");
  if (const auto tag = query.find("tag"); tag != query.end())
    TRY(set_once(git.ref, full_name(tag->second, "refs/tags/"), "ref"));
  if (const auto branch = query.find("branch"); branch != query.end())
    TRY(set_once(git.ref, full_name(branch->second, "refs/heads/"), "ref"));
  return {};
}

}  // namespace

bool is_commit(std::string_view text) { return (text.size() == 40 || text.size() == 64) && is_hex(text); }

Status check_git_checksum(std::string_view text) {
  if (text.size() >= 7 && text.size() <= 64 && is_hex(text)) return {};
  return fail(Code::kInvalidArgument, "invalid checksum {}: a commit is 7 to 64 lower-case hexadecimal digits",
              quoted(text, 200));
}

bool GitReference::names_one(std::string_view text) {
  const std::string scheme = scheme_of(text);
  if (scheme == "git" || scheme == "ssh") return true;
  if (scheme == "http" || scheme == "https") return address_of(text).ends_with(".git");
  return scheme.empty() && !text.starts_with("./") && !text.starts_with("../") && scp_parts(address_of(text));
}

Result<GitReference> GitReference::parse(const std::string& text) {
  if (text.size() > kLongest) return fail(Code::kOutOfRange, "a git reference of {} bytes is too long", text.size());
  GitReference git;
  const std::string_view view = text;
  const auto hash = view.find('#');
  const auto question = view.substr(0, hash).find('?');
  const std::string_view address = address_of(view);
  git.remote = address;
  git.scheme = scheme_of(address);
  const auto malformed = [&] {
    return fail(Code::kInvalidArgument, "{} is no git repository's address", quoted(text));
  };
  if (git.scheme == "http" || git.scheme == "https") {
    const http::Url url = TRY(http::Url::parse(address));
    git.origin = url.origin();
    git.remote = url.text();
  } else if (git.scheme == "git" || git.scheme == "ssh") {
    if (!is_plain_address(address)) return malformed();
  } else {
    const auto parts = scp_parts(address);
    if (!git.scheme.empty() || !parts || !is_path(parts->path)) return malformed();
    git.scheme = "ssh";
  }
  if (hash != std::string_view::npos) {
    const std::string_view fragment = view.substr(hash + 1);
    const auto colon = fragment.find(':');
    git.ref = fragment.substr(0, colon);
    if (colon != std::string_view::npos) git.subdir = fragment.substr(colon + 1);
  }
  if (question != std::string_view::npos)
    TRY(take_query(
        git, TRY(query_of(view.substr(question + 1, hash == std::string_view::npos ? hash : hash - question - 1)))));
  if (!git.checksum.empty()) TRY(check_git_checksum(git.checksum));
  if (git.ref.empty() && is_commit(git.checksum)) git.ref = git.checksum;
  if (!git.ref.empty() && !is_ref(git.ref))
    return fail(Code::kInvalidArgument, "{} is no name of a branch, a tag or a commit", quoted(git.ref, 200));
  if (git.subdir.contains('\0')) return malformed();
  return git;
}

}  // namespace slipway::build
