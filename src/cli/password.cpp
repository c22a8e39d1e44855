#include "cli/password.hpp"

#include <unistd.h>

#include "cli/output.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kPasswordLimit = 64 * 1024;

}  // namespace

Result<std::string> password_from_stdin(const Cancel& cancel) {
  const auto source = source_of(STDIN_FILENO, "standard input", cancel);
  std::string password;
  char buffer[4096];
  while (const std::size_t count = TRY(source(buffer, sizeof buffer))) {
    password.append(buffer, count);
    if (password.size() > kPasswordLimit) return fail(Code::kOutOfRange, "the password on standard input is too long");
  }
  while (password.ends_with('\n') || password.ends_with('\r')) password.pop_back();
  return password;
}

}  // namespace slipway::cli
