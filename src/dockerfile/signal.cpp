#include "dockerfile/signal.hpp"

#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "base/text.hpp"

namespace slipway::dockerfile {
namespace {

// moby/sys/signal's table for Linux on the architectures that share x86's numbers.
constexpr std::array<std::pair<std::string_view, int>, 36> kSignals = {{
    {"ABRT", 6},    {"ALRM", 14},   {"BUS", 7},   {"CHLD", 17}, {"CLD", 17},   {"CONT", 18},
    {"FPE", 8},     {"HUP", 1},     {"ILL", 4},   {"INT", 2},   {"IO", 29},    {"IOT", 6},
    {"KILL", 9},    {"PIPE", 13},   {"POLL", 29}, {"PROF", 27}, {"PWR", 30},   {"QUIT", 3},
    {"SEGV", 11},   {"STKFLT", 16}, {"STOP", 19}, {"SYS", 31},  {"TERM", 15},  {"TRAP", 5},
    {"TSTP", 20},   {"TTIN", 21},   {"TTOU", 22}, {"URG", 23},  {"USR1", 10},  {"USR2", 12},
    {"VTALRM", 26}, {"WINCH", 28},  {"XCPU", 24}, {"XFSZ", 25}, {"RTMIN", 34}, {"RTMAX", 64},
}};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

// "RTMIN+3" and "RTMAX-2"; 0 when it is neither.
int realtime(std::string_view name) {
  const bool from_least = name.starts_with("RTMIN+");
  if (!from_least && !name.starts_with("RTMAX-")) return 0;
  int offset = 0;
  const auto digits = name.substr(6);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), offset);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.starts_with('-')) return 0;
  if (offset < 1 || offset > (from_least ? 15 : 14)) return 0;
  return from_least ? 34 + offset : 64 - offset;
}

}  // namespace

Result<int> parse_signal(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool numeric = error == std::errc{} && end == text.data() + text.size();
  // the runtime would refuse a number that no signal has: say so while the line is known
  if (numeric && number >= 1 && number <= 64) return number;
  std::string name = upper(text.substr(0, 32));
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (const auto& [known, value] : kSignals)
    if (!numeric && name == known) return value;
  if (const int value = realtime(name)) return value;
  return fail(Code::kInvalidArgument, "invalid signal: {}", printable(text, 64));
}

}  // namespace slipway::dockerfile
