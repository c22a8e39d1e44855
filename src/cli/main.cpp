// slipway: builds, pushes and keeps container images. This file owns what belongs to the process: descriptors, signals,
// environment; the rest is program.hpp.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "cli/program.hpp"
#include "cli/terminal.hpp"
#include "sandbox/sandbox.hpp"
#include "sys/file.hpp"

namespace {

slipway::CancelSource* stopper = nullptr;  // set once, before the handler is installed
std::atomic<int> stopped_by = 0;

// The first signal asks everything to stop; who sends a second one does not want to wait.
void on_signal(int number) {
  const int saved = errno;
  if (stopped_by.exchange(number) != 0) {
    slipway::cli::restore_terminal();
    _exit(128 + number);
  }
  stopper->fire_from_signal();
  errno = saved;
}

void install_handlers() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // whoever waits also polls the Cancel's descriptor
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before{};
    sigaction(number, nullptr, &before);
    // nohup stays nohup; but a shell that starts us with & ignores SIGINT for us, and `kill -INT` shall still work
    if (number != SIGHUP || before.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);
  }
  signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of write(2), with a message
}

// A missing standard descriptor would be taken by the next file that is opened, and results be written into it. What is
// put there can be read as empty, and refuses to be written.
void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY);
}

slipway::registry::Variables all_variables() {
  slipway::registry::Variables variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) variables.emplace_back(*entry);
  return variables;
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  slipway::CancelSource source;
  stopper = &source;
  install_handlers();
  slipway::cli::Process process{
      .name = argc > 0 ? argv[0] : "",
      .words = std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc),
      .environment = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
      },
      .variables = all_variables(),
      .uid = geteuid(),
      .cancel = source.cancel(),
      .signal = [] { return stopped_by.load(); },
      .enter_user_namespace = slipway::sandbox::enter_rootless,
      .standard_output = STDOUT_FILENO,
      // where standard error can not be written to, there is nobody left to tell
      .say = [](std::string_view text) { (void)slipway::sys::write_all(STDERR_FILENO, text); }};
  return slipway::cli::run_program(process);
}
