// StepLog: the output of one step as lines that may be shown, and the last of them for when the step fails.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.hpp"
#include "cli/printable.hpp"

namespace slipway::cli {

class StepLog {
 public:
  explicit StepLog(Colours colours) : colours_(colours) {}

  /// Adds bytes of a stream as they came; gives the lines that are complete now: "0.123 text". Of a line that rewrote
  /// itself (carriage returns, as progress bars do) the last state is taken; a very long line comes in pieces.
  [[nodiscard]] std::vector<std::string> add(int stream, std::string_view bytes, std::int64_t milliseconds);
  /// The unfinished lines, at the end of the step.
  [[nodiscard]] std::vector<std::string> flush(std::int64_t milliseconds);
  /// The last lines, oldest first.
  [[nodiscard]] const std::deque<std::string>& tail() const { return tail_; }

 private:
  std::string finish_line(std::string_view raw, std::int64_t milliseconds);

  Colours colours_;
  std::array<std::string, 2> unfinished_;
  std::deque<std::string> tail_;
};

/// What is repeated under a failed step: dashes, " > [2/3] RUN exit 3:", its last lines, dashes. Nothing for a
/// step that said nothing.
[[nodiscard]] std::string failure_block(std::string_view name, const std::deque<std::string>& tail);

/// Whether a step's error only says that it was stopped.
[[nodiscard]] bool is_cancellation(std::string_view error);

/// Bytes moved as BuildKit writes them: "12B", "2.81MB".
[[nodiscard]] std::string transfer_size(std::int64_t bytes);
/// "sha256:1a2b… 1.05MB / 2.81MB" without the name; empty when nothing is known.
[[nodiscard]] std::string transfer_amount(const progress::Transfer& transfer);

}  // namespace slipway::cli
