// Parser: one HTTP/1.1 request from bytes, by Boost.Beast. Fed by hand: it does no I/O.
//
//   Parser parser(limits);
//   TRY(parser.head(bytes));               // bytes of a whole head; what it did not take belongs to the body
//   while (!parser.done()) { got = TRY(parser.body(bytes, buffer, size)); … }
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace slipway::httpd {

/// Why a head was refused, with the status to say so.
struct Refusal {
  int status = 400;
  std::string why;
};

/// Where a head ends in `bytes` (one past its empty line), from `from` on; npos when it does not yet.
[[nodiscard]] std::size_t head_end(std::string_view bytes, std::size_t from);

/// Whether a request may begin so. What can not, a TLS handshake for one, need not be waited for.
[[nodiscard]] bool may_be_head(std::string_view bytes);

class Parser {
 public:
  Parser(std::size_t head_bytes, std::size_t target_bytes);
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;
  ~Parser();

  /// `bytes` up to head_end(). A refusal ends the parser's life.
  [[nodiscard]] std::expected<void, Refusal> head(std::string_view bytes);

  [[nodiscard]] std::string method() const;
  [[nodiscard]] std::string target() const;
  [[nodiscard]] std::vector<std::string> headers(std::string_view name) const;
  [[nodiscard]] bool keep_alive() const;
  [[nodiscard]] bool wants_continue() const;  ///< the peer waits for 100 before it sends the body
  [[nodiscard]] bool old() const;             ///< HTTP/1.0: no chunks in the answer
  /// Announced; nothing with chunks; 0 without a body.
  [[nodiscard]] std::optional<std::int64_t> content_length() const;
  [[nodiscard]] bool done() const;  ///< the body has ended

  struct Taken {
    std::size_t consumed = 0;  ///< of the bytes that were given
    std::size_t written = 0;   ///< into the buffer
  };
  /// Takes more bytes of the body. `consumed` may be 0 when more are needed. kInvalidArgument when they are no body.
  [[nodiscard]] Result<Taken> body(std::string_view bytes, char* buffer, std::size_t size);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway::httpd
