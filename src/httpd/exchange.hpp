// Exchange: one request and its answer on a connection; what stands behind Request and Answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "httpd/connection.hpp"
#include "httpd/parser.hpp"
#include "httpd/server.hpp"

namespace slipway::httpd {

class Exchange {
 public:
  /// `inbox`: what was read of the connection beyond the head; what is left of it afterwards belongs to the next
  /// request. `watch`: asked once when the handler wants to know of a hang-up; gives a Cancel.
  Exchange(Connection& connection, std::string& inbox, const Limits& limits, std::function<Cancel()> watch)
      : connection_(connection),
        inbox_(inbox),
        limits_(limits),
        watch_(std::move(watch)),
        parser_(limits.head_bytes, limits.target_bytes),
        request_(*this),
        answer_(*this) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  enum class After : unsigned char {
    kKeep,    ///< the connection is good for another request
    kLinger,  ///< no more requests; what the peer still sends is to be read and dropped, so that it sees the answer
    kCut,     ///< at once
  };
  /// Reads the head off the inbox (which holds a whole one), runs the handler, ends the answer. `last`: asked at the
  /// moment of answering whether the connection is to be closed.
  After run(const Handler& handler, const std::function<bool()>& last);
  [[nodiscard]] const Served& served() const { return served_; }

 private:
  friend class Request;
  friend class Answer;

  /// What was read of the connection and not taken yet. A chunk's head and kBytes always have room. Memory that no
  /// byte came into yet is not touched: a thousand peers that send nothing cost a thousand pages.
  class Input {
   public:
    void give(std::string_view bytes);
    [[nodiscard]] std::string_view pending() const { return {buffer_.get() + from_, to_ - from_}; }
    void consume(std::size_t bytes) { from_ += bytes; }
    [[nodiscard]] std::span<char> room();
    void add(std::size_t bytes) { to_ += bytes; }

   private:
    static constexpr std::size_t kBytes = 256 * 1024;
    void have(std::size_t bytes);
    std::unique_ptr<char[]> buffer_;  // NOLINT(*-avoid-c-arrays): a vector would write all of it
    std::size_t size_ = 0, from_ = 0, to_ = 0;
  };

  void refuse(const Refusal& refusal);
  void call(const Handler& handler);
  After finish();
  Result<std::size_t> read(char* buffer, std::size_t size);
  Result<std::size_t> read_body(char* buffer, std::size_t size);
  bool drain_now();
  Status start(int status, std::optional<std::int64_t> length);
  Status write(std::string_view bytes);
  Status write_file(int fd, std::int64_t offset, std::int64_t length);
  Status account(std::int64_t bytes);
  Status keep(Status done);

  Connection& connection_;
  std::string& inbox_;
  const Limits& limits_;
  std::function<Cancel()> watch_;
  std::function<bool()> last_;
  Parser parser_;
  Input input_;
  Request request_;
  Answer answer_;
  Served served_;
  std::optional<Target> target_;
  std::optional<Cancel> cancel_;

  bool continued_ = false;     ///< 100 was sent, or is not waited for
  bool input_broken_ = false;  ///< what follows on the connection can not be told apart any more
  bool output_broken_ = false;
  bool cut_ = false;
  bool started_ = false, head_only_ = false, chunked_ = false, close_ = false;
  std::string reason_;                ///< behind the status's phrase
  std::string headers_;               ///< of the answer, as lines
  std::string head_;                  ///< not yet sent
  std::optional<std::int64_t> left_;  ///< of the announced length
};

/// "404 Not Found".
[[nodiscard]] std::string status_line(int status);

}  // namespace slipway::httpd
