#include "dockerfile/go_match.hpp"

#include <vector>

#include "base/text.hpp"
#include "dockerfile/glob.hpp"
#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {

Result<bool> go_match(std::string_view pattern, std::string_view name) {
  const Glob glob = TRY(Glob::parse(pattern, Glob::Dialect::kPath));
  return glob.matches(decoded(name));
}

bool has_wildcard(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '*' || text[i] == '?' || text[i] == '[') {
      return true;
    }
  }
  return false;
}

std::string go_clean(std::string_view path) {
  const bool rooted = path.starts_with('/');
  std::vector<std::string_view> kept;
  for (const auto part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (!kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (!rooted) {
      kept.push_back(part);
    }
  }
  std::string out = rooted ? "/" : "";
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) out += '/';
    out += kept[i];
  }
  return out.empty() ? "." : out;
}

}  // namespace slipway::dockerfile
