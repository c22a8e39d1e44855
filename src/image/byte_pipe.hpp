// BytePipe: bytes from one thread to another, a few pieces at a time. The writer ends it well or with an error, the
// reader may leave early; then what is still written is dropped.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/queue.hpp"
#include "base/synced.hpp"

namespace slipway::image {

class BytePipe {
 public:
  /// Blocks while the reader is behind.
  void write(std::string_view bytes) { (void)pieces_.push(std::string(bytes)); }
  /// No more bytes: the reader gets the end, or the error once it has read what came before.
  void finish(const Status& status) {
    if (!status) *error_.lock() = status.error();
    pieces_.close();
  }
  /// The reader has had enough.
  void leave() { pieces_.close(); }

  /// A layer::Source's call; one thread.
  Result<std::size_t> read(char* buffer, std::size_t size) {
    while (at_ == piece_.size()) {
      auto next = pieces_.pop();
      if (!next) {
        if (const auto error = *error_.lock()) return std::unexpected(*error);
        return 0;
      }
      piece_ = *std::move(next);
      at_ = 0;
    }
    const std::size_t taken = piece_.copy(buffer, size, at_);
    at_ += taken;
    return taken;
  }

 private:
  static constexpr std::size_t kPieces = 8;  // of at most 256 KiB: what the HTTP client hands out at once
  Queue<std::string> pieces_{kPieces};
  Synced<std::optional<Error>> error_;
  std::string piece_;  // the reader's
  std::size_t at_ = 0;
};

}  // namespace slipway::image
