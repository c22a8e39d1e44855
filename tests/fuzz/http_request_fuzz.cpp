// Request heads, bodies, targets and ranges: whatever comes, they end, and what was taken from the input is not more
// than was given.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "httpd/parser.hpp"
#include "httpd/range.hpp"
#include "httpd/target.hpp"

using namespace slipway;

namespace {

void read_body(httpd::Parser& parser, std::string_view rest) {
  char buffer[64];
  while (!parser.done()) {
    const auto taken = parser.body(rest, buffer, sizeof buffer);
    if (!taken) return;
    if (taken->consumed > rest.size() || taken->written > sizeof buffer) std::abort();
    rest.remove_prefix(taken->consumed);
    if (taken->consumed == 0 && taken->written == 0) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto end = httpd::head_end(text, 0);
  httpd::Parser parser(4096, 1024);
  if (parser.head(text.substr(0, end))) {
    (void)httpd::Target::parse(parser.target());
    for (const auto& range : parser.headers("Range")) {
      const auto part = httpd::parse_range(range, 1000);
      if (part.kind == httpd::ByteRange::Kind::kPart &&
          (part.offset < 0 || part.length < 1 || part.offset + part.length > 1000))
        std::abort();
    }
    if (parser.content_length().value_or(0) < 0) std::abort();
    read_body(parser, end == std::string_view::npos ? std::string_view() : text.substr(end));
  }
  (void)httpd::Target::parse(text);
  const auto part = httpd::parse_range(text, 1000);
  if (part.kind == httpd::ByteRange::Kind::kPart &&
      (part.offset < 0 || part.length < 1 || part.offset + part.length > 1000))
    std::abort();
  return 0;
}
