#include "cli/failure.hpp"

#include <fmt/core.h>

#include "base/text.hpp"
#include "cli/printable.hpp"

namespace slipway::cli {

std::string failure_text(const Error& error, bool debug) {
  std::string out;
  if (!error.excerpt().empty()) {
    out += printable_text(error.excerpt());
    if (!out.ends_with('\n')) out += '\n';
  } else if (error.range()) {
    out += fmt::format("{}:{}\n", printable(error.range()->file), error.range()->first_line);
  }
  out += fmt::format("ERROR: {}\n", printable_text(error.what()));
  for (const auto& line : error.contexts()) out += fmt::format("  {}\n", printable_text(line));
  if (!error.hint().empty()) out += fmt::format("  hint: {}\n", printable_text(error.hint()));
  if (debug) {
    out += fmt::format("  code: {}", name_of(error.code()));
    if (error.sys_errno() != 0) out += fmt::format(", errno {}", error.sys_errno());
    out += '\n';
  }
  return out;
}

int exit_code_of(const Error& error, int signal) {
  if (error.code() == Code::kUsage) return kExitUsage;
  if (error.code() == Code::kCancelled && signal > 0) return 128 + signal;
  return kExitFailed;
}

}  // namespace slipway::cli
