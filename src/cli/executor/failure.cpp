#include "cli/executor/failure.hpp"

#include "base/text.hpp"
#include "cli/failure.hpp"
#include "cli/printable.hpp"

namespace slipway::cli {

std::string executor_failure_text(const Error& error, std::string_view where, bool debug) {
  std::string out;
  if (!error.excerpt().empty()) {
    out += printable_text(error.excerpt());
    if (!out.ends_with('\n')) out += '\n';
  } else if (error.range()) {
    out += fmt::format("{}:{}\n", printable(error.range()->file), error.range()->first_line);
  }
  if (!where.empty() && !error.what().starts_with(where)) out += fmt::format("{}: ", where);
  out += printable_text(error.message()) + "\n";
  if (!error.hint().empty()) out += fmt::format("  hint: {}\n", printable_text(error.hint()));
  if (debug) out += fmt::format("  code: {}\n", name_of(error.code()));
  return out;
}

std::string usage_text(const Error& error) {
  std::string out = fmt::format("Error: {}\n", printable_text(error.message()));
  out += fmt::format("  hint: {}\n", error.hint().empty() ? "'executor --help' lists the flags" : error.hint());
  return out;
}

int executor_exit_code(const Error& error) {
  constexpr std::string_view kSaid = "did not complete successfully: exit code: ";
  const auto at = error.what().rfind(kSaid);
  if (at == std::string::npos) return kExitFailed;
  const auto code = parse_size(trim(std::string_view(error.what()).substr(at + kSaid.size())));
  return code && *code > 0 && *code < 256 ? static_cast<int>(*code) : kExitFailed;
}

}  // namespace slipway::cli
