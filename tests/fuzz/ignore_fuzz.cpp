// Fuzz target: an ignore file and, behind its first NUL byte, the path that is asked for. Pruning must never lose a
// path.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "dockerfile/go_match.hpp"
#include "dockerfile/ignore.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slipway::dockerfile;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto nul = input.find('\0');
  const std::string_view text = input.substr(0, nul);
  std::string path = go_clean(nul == std::string_view::npos ? "a/b" : input.substr(nul + 1));
  if (path.starts_with('/')) path.erase(0, 1);
  (void)go_match(text, path);
  const auto matcher = Matcher::parse(text);
  if (!matcher) return 0;
  Verdict verdict = Matcher::root();
  bool pruned = false;
  for (std::size_t slash = path.find('/');; slash = path.find('/', slash + 1)) {
    const std::string_view part = std::string_view(path).substr(0, slash);
    verdict = matcher->judge(verdict, part);
    if (matcher->excluded(verdict) != matcher->excluded(part)) std::abort();
    if (pruned && !matcher->excluded(verdict)) std::abort();
    pruned = pruned || matcher->can_prune(verdict, part);
    if (slash == std::string::npos) return 0;
  }
}
