// Fuzz target: a word of any bytes is expanded in every way, in a small environment.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "dockerfile/expand.hpp"
#include "dockerfile/heredoc.hpp"

namespace {

std::optional<std::string> lookup(std::string_view name) {
  if (name == "x") return "val";
  if (name == "p") return "foo.tar.gz";
  if (name == "b") return " a  b ";
  if (name == "t") return "a*b?c\\";
  if (name == "e") return "";
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slipway::dockerfile;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char escape : {'\\', '`'}) {
    const auto word = expand_word(text, escape, lookup);
    const auto words = expand_words(text, escape, lookup);
    if (word && word->size() > kWordLimit) std::abort();
    if (word.has_value() != words.has_value()) std::abort();  // splitting changes nothing about what is wrong
    if (words)
      for (const auto& one : *words)
        if (one.empty()) std::abort();
  }
  (void)expand_body(text, lookup);
  (void)find_heredocs(text);
  (void)parse_heredoc(text);
  return 0;
}
