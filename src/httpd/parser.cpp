// The one source that includes Boost.Beast. Its exceptions do not leave it; it throws none where error codes are asked
// for.
#include "httpd/parser.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <limits>

#include "base/text.hpp"

namespace slipway::httpd {

namespace beast = boost::beast;
namespace beast_http = boost::beast::http;

struct Parser::State {
  beast_http::request_parser<beast_http::buffer_body> parser;
  std::size_t head_bytes;
  std::size_t target_bytes;
};

std::size_t head_end(std::string_view bytes, std::size_t from) {
  const auto at = bytes.find("\r\n\r\n", from > 3 ? from - 3 : 0);
  return at == std::string_view::npos ? at : at + 4;
}

bool may_be_head(std::string_view bytes) {
  if (bytes == "\r") return true;  // of an empty line before it
  constexpr std::size_t kMethodLimit = 32;
  const std::string_view method = bytes.substr(0, std::min(bytes.find(' '), bytes.size()));
  const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_'; };
  return method.size() <= kMethodLimit && std::ranges::all_of(method, letter);
}

Parser::Parser(std::size_t head_bytes, std::size_t target_bytes) : state_(std::make_unique<State>()) {
  state_->head_bytes = head_bytes;
  state_->target_bytes = target_bytes;
  state_->parser.header_limit(static_cast<std::uint32_t>(head_bytes));
  state_->parser.body_limit(boost::none);  // bodies are streamed; whoever keeps one limits it
  state_->parser.eager(false);
}
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;
Parser::~Parser() = default;

namespace {

std::unexpected<Refusal> refuse(int status, std::string why) {
  return std::unexpected(Refusal{status, std::move(why)});
}

template <class Message>
std::expected<void, Refusal> judge(const Message& message, std::size_t target_bytes, bool chunked) {
  const auto view = [](beast::string_view text) { return std::string_view(text.data(), text.size()); };
  if (message.version() != 11 && message.version() != 10) return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken");
  if (message.target().size() > target_bytes)
    return refuse(414, fmt::format("the request target is longer than {} bytes", target_bytes));
  const auto hosts = message.count(beast_http::field::host);
  if (hosts > 1 || (hosts == 0 && message.version() == 11)) return refuse(400, "there must be one Host header");
  if (message.count(beast_http::field::content_length) > 1) return refuse(400, "the length is given twice");
  const auto coding = message.find(beast_http::field::transfer_encoding);
  if (coding != message.end()) {
    if (message.count(beast_http::field::transfer_encoding) > 1 || lower(trim(view(coding->value()))) != "chunked" ||
        !chunked)
      return refuse(501, "the only transfer coding is chunked");
    if (message.version() == 10) return refuse(400, "HTTP/1.0 has no chunks");
    if (message.count(beast_http::field::content_length) > 0)
      return refuse(400, "a length and chunks at the same time");
  }
  const auto expect = message.find(beast_http::field::expect);
  if (expect != message.end() && lower(trim(view(expect->value()))) != "100-continue")
    return refuse(417, "the only expectation is 100-continue");
  return {};
}

}  // namespace

std::expected<void, Refusal> Parser::head(std::string_view bytes) {
  auto& parser = state_->parser;
  if (bytes.size() > state_->head_bytes)
    return refuse(431, fmt::format("the request's head is longer than {} bytes", state_->head_bytes));
  // One line end, as Beast takes no other: a bare LF in the middle is something that others read as one.
  for (auto at = bytes.find('\n'); at != std::string_view::npos; at = bytes.find('\n', at + 1))
    if (at == 0 || bytes[at - 1] != '\r') return refuse(400, "a line ends without CR");
  if (bytes.contains("\r\n ") || bytes.contains("\r\n\t"))  // obs-fold, RFC 9112 section 5.2
    return refuse(400, "a header line is folded");
  beast::error_code error;
  std::size_t used = 0;
  while (!parser.is_header_done()) {
    const std::size_t got = parser.put(boost::asio::buffer(bytes.data() + used, bytes.size() - used), error);
    used += got;
    if (error == beast_http::error::need_buffer) error = {};
    if (error == beast_http::error::header_limit) return refuse(431, "the request's head is too long");
    if (error) return refuse(400, error.message());
    if (got == 0 && !parser.is_header_done()) return refuse(400, "the request's head is broken");
  }
  if (parser.content_length() &&
      *parser.content_length() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return refuse(400, "the announced length is no size");
  return judge(parser.get(), state_->target_bytes, parser.chunked());
}

std::string Parser::method() const {
  const auto text = state_->parser.get().method_string();
  return {text.data(), text.size()};
}
std::string Parser::target() const {
  const auto text = state_->parser.get().target();
  return {text.data(), text.size()};
}

std::vector<std::string> Parser::headers(std::string_view name) const {
  std::vector<std::string> values;
  const auto range = state_->parser.get().equal_range(beast::string_view(name.data(), name.size()));
  for (auto at = range.first; at != range.second; ++at) {
    const auto value = at->value();
    values.emplace_back(trim(std::string_view(value.data(), value.size())));
  }
  return values;
}

bool Parser::keep_alive() const { return state_->parser.get().keep_alive(); }
bool Parser::old() const { return state_->parser.get().version() == 10; }
bool Parser::wants_continue() const { return !old() && !headers("Expect").empty() && !done(); }
bool Parser::done() const { return state_->parser.is_done(); }

std::optional<std::int64_t> Parser::content_length() const {
  if (!state_->parser.is_header_done()) return 0;  // it was refused: nobody knows
  if (state_->parser.chunked()) return std::nullopt;
  const auto length = state_->parser.content_length();
  return length ? static_cast<std::int64_t>(*length) : 0;
}

Result<Parser::Taken> Parser::body(std::string_view bytes, char* buffer, std::size_t size) {
  auto& parser = state_->parser;
  Taken taken;
  while (!parser.is_done() && taken.consumed < bytes.size() && taken.written < size) {
    auto& body = parser.get().body();
    body.data = buffer + taken.written;
    body.size = size - taken.written;
    body.more = true;
    beast::error_code error;
    const std::size_t room = body.size;
    const std::size_t got =
        parser.put(boost::asio::buffer(bytes.data() + taken.consumed, bytes.size() - taken.consumed), error);
    taken.consumed += got;
    const std::size_t filled = room - body.size;
    taken.written += filled;
    if (error == beast_http::error::need_buffer) error = {};
    if (error == beast_http::error::need_more) break;
    if (error) return fail(Code::kInvalidArgument, "the request's body is broken: {}", error.message());
    if (got == 0 && filled == 0) break;
  }
  return taken;
}

}  // namespace slipway::httpd
