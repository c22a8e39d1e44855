// Fuzz target: what a server says of a file that ADD fetches: its name, out of the URL and behind a newline the
// Content-Disposition, and its date.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "build/remote_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  using namespace slipway;
  (void)build::parse_http_date(std::string(text));
  const auto newline = text.find('\n');
  const auto url = http::Url::parse(std::string("http://h/").append(text.substr(0, newline)));
  if (!url) return 0;
  std::optional<std::string> disposition;
  if (newline != std::string_view::npos) disposition = std::string(text.substr(newline + 1));
  const std::string name = build::remote_file_name(*url, disposition);
  if (name.empty() || name == "." || name == ".." || name.size() > 255) std::abort();
  if (name.contains('/') || name.contains('\0')) std::abort();
  return 0;
}
