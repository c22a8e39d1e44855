// Terminal: what standard error is, and leaving it as it was found.
#pragma once

#include <string>
#include <string_view>

#include "base/cancel.hpp"
#include "base/error.hpp"

namespace slipway::cli {

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};

[[nodiscard]] bool is_terminal(int fd);
/// 80 × 24 where the kernel does not say.
[[nodiscard]] TerminalSize terminal_size(int fd);

inline constexpr std::string_view kHideCursor = "\x1b[?25l";
inline constexpr std::string_view kShowCursor = "\x1b[?25h";

/// Remembers that the cursor is hidden, so that restore_terminal() shows it again.
void note_cursor_hidden(bool hidden);
/// Async-signal-safe: undoes what is noted (cursor, echo). For the handler that ends the process.
void restore_terminal();

/// Asks on the controlling terminal; `secret`: without echo. kFailedPrecondition when there is no terminal.
enum class Echo : unsigned char { kOn, kOff };
[[nodiscard]] Result<std::string> ask(std::string_view prompt, Echo echo, const Cancel& cancel);

}  // namespace slipway::cli
