// Addresses and Location headers out of any bytes: no crash, and the text means the same address again.
#include <cstdint>
#include <cstdlib>

#include "http/url.hpp"

using slipway::http::Url;

namespace {

void check(const Url& url) {
  const auto again = Url::parse(url.text());
  if (!again || again->text() != url.text() || !again->same_origin(url)) std::abort();
  if (url.scheme() != "http" && url.scheme() != "https") std::abort();
  if (url.host().empty() || url.port() < 1 || url.port() > 65535 || !url.target().starts_with('/')) std::abort();
  for (const char c : url.text())
    if (c <= ' ' || c == '\\' || c == 0x7f || static_cast<unsigned char>(c) >= 0x80) std::abort();
  if (url.authority().find('@') != std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto url = Url::parse(text)) check(*url);
  static const Url base = Url::parse("https://registry.example:5000/v2/a/blobs/uploads/1?x=y").value();
  if (const auto next = base.resolve(text)) check(*next);
  check(base.with_query("key", text.substr(0, 1024)));
  return 0;
}
