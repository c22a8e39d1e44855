// ProgressReader: a reader of progress events that people or programs watch. One file per way of showing:
// progress_plain (CI logs), progress_tty (live), progress_json (programs), progress_quiet.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/progress.hpp"
#include "base/time.hpp"
#include "cli/terminal.hpp"

namespace slipway::cli {

enum class ProgressMode : unsigned char { kAuto, kPlain, kTty, kRawJson, kQuiet };
/// kUsage for an unknown word.
[[nodiscard]] Result<ProgressMode> parse_progress_mode(std::string_view text);

/// Everything that a reader takes from outside; tests give their own.
struct ProgressSetup {
  ProgressMode mode = ProgressMode::kPlain;
  bool terminal = false;  ///< what kAuto asks
  bool colours = false;
  std::string_view phase = "Building";
  std::function<void(std::string_view)> write = [](std::string_view) {};
  std::function<std::int64_t()> clock = [] { return std::int64_t{0}; };  ///< monotonic milliseconds
  std::function<Timestamp()> wall_clock = [] { return Timestamp{}; };
  std::function<TerminalSize()> size = [] { return TerminalSize{}; };
};

class ProgressReader : public progress::Sink {
 public:
  /// The last word of the display: what is still to be shown, and the tails of failed steps. Call once, when no more
  /// events come and before anything else is written to the same place.
  virtual void finish() = 0;
};

[[nodiscard]] std::unique_ptr<ProgressReader> make_progress(ProgressSetup setup);

}  // namespace slipway::cli
