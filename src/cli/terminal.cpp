#include "cli/terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>

#include "sys/file.hpp"

namespace slipway::cli {
namespace {

// What a signal handler has to undo; process-wide because the terminal is.
std::atomic<bool> cursor_hidden = false;
std::atomic<int> silent_terminal = -1;
termios saved_terminal{};

/// Echo off while it lives.
class Silence {
 public:
  explicit Silence(int fd) {
    if (tcgetattr(fd, &saved_terminal) != 0) return;
    silent_terminal = fd;
    termios changed = saved_terminal;
    changed.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    (void)tcsetattr(fd, TCSAFLUSH, &changed);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    if (const int fd = silent_terminal.exchange(-1); fd >= 0) (void)tcsetattr(fd, TCSAFLUSH, &saved_terminal);
  }
};

Result<std::string> read_line(int fd, const Cancel& cancel) {
  std::string line;
  while (true) {
    pollfd waits[2] = {{fd, POLLIN, 0}, {cancel.fd(), POLLIN, 0}};
    TRY(cancel.check());
    if (poll(waits, 2, -1) <= 0 || waits[0].revents == 0) continue;
    char c = 0;
    if (TRY(sys::read_some(fd, &c, 1)) == 0 || c == '\n') return line;
    if (line.size() >= 4096) return fail(Code::kInvalidArgument, "the answer is too long");
    line += c;
  }
}

}  // namespace

bool is_terminal(int fd) { return isatty(fd) == 1; }

TerminalSize terminal_size(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

void note_cursor_hidden(bool hidden) { cursor_hidden = hidden; }

void restore_terminal() {
  if (cursor_hidden.exchange(false)) {
    [[maybe_unused]] const auto ignored = write(STDERR_FILENO, kShowCursor.data(), kShowCursor.size());
  }
  if (const int fd = silent_terminal.exchange(-1); fd >= 0) (void)tcsetattr(fd, TCSANOW, &saved_terminal);
}

Result<std::string> ask(std::string_view prompt, Echo echo, const Cancel& cancel) {
  auto terminal = sys::open("/dev/tty", O_RDWR | O_NOCTTY);
  if (!terminal) return fail(Code::kFailedPrecondition, "there is no terminal to ask on");
  TRY(sys::write_all(terminal->get(), prompt));
  if (echo == Echo::kOn) return read_line(terminal->get(), cancel);
  const Silence silence(terminal->get());
  auto line = read_line(terminal->get(), cancel);
  TRY(sys::write_all(terminal->get(), "\n"));
  return line;
}

}  // namespace slipway::cli
