#include "cli/executor/log.hpp"

#include <fmt/core.h>

#include <utility>

#include "base/text.hpp"
#include "cli/printable.hpp"
#include "cli/step_log.hpp"
#include "oci/canonical_json.hpp"

namespace slipway::cli {
namespace {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kPanic:
      return "panic";
    case LogLevel::kFatal:
      return "fatal";
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarn:
      return "warning";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kTrace:
      return "trace";
  }
  return "info";
}

int colour_of(LogLevel level) {
  if (level >= LogLevel::kDebug) return 37;
  if (level == LogLevel::kInfo) return 36;
  return level == LogLevel::kWarn ? 33 : 31;
}

std::string upper(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return out;
}

/// What logrus puts in quotes in its text format.
bool plain_word(std::string_view text) {
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._/@^+").contains(c);
    if (!plain) return false;
  }
  return !text.empty();
}

/// "[build 2/5] RUN make" → "RUN make".
std::string_view instruction_of(std::string_view name) {
  if (!name.starts_with('[')) return name;
  const auto end = name.find("] ");
  return end == std::string_view::npos ? name : name.substr(end + 2);
}

constexpr std::size_t kLongestLine = 64 * 1024;  // what never ends is shown in pieces

/// A line that a step printed: colours stay, of one that rewrote itself the last state is shown.
std::string shown_line(std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  if (const auto last = line.rfind('\r'); last != std::string_view::npos) line.remove_prefix(last + 1);
  return printable_text(line, Colours::kKeep) + "\n";
}

bool internal(std::string_view name) { return name.starts_with("[internal]") || !name.starts_with('['); }

}  // namespace

std::string log_line(const LogSettings& settings, LogLevel level, std::string_view text, std::int64_t milliseconds,
                     Timestamp time) {
  if (level > settings.level) return {};
  const std::string shown = printable(text, 16 * 1024);
  time.nanoseconds = 0;
  switch (settings.format) {
    case LogFormat::kJson: {
      oci::JsonWriter json;
      json.begin_object();
      json.member("level", std::string(name_of(level)));
      json.member("msg", shown);
      json.member("time", rfc3339(time));
      json.end_object();
      return json.take() + "\n";
    }
    case LogFormat::kText:
      return fmt::format("time=\"{}\" level={} msg={}\n", rfc3339(time), name_of(level),
                         plain_word(shown) ? shown : go_quoted(shown));
    case LogFormat::kColor:
      break;
  }
  const std::string when = settings.timestamp ? rfc3339(time) : fmt::format("{:04}", milliseconds / 1000);
  return fmt::format("\x1b[{}m{}\x1b[0m[{}] {:<44} \n", colour_of(level), upper(name_of(level)).substr(0, 4), when,
                     shown);
}

void ExecutorLog::write(LogLevel level, std::string_view text) {
  const std::string line = log_line(setup_.settings, level, text, setup_.clock() - started_, setup_.wall_clock());
  if (!line.empty()) setup_.log(line);
}

void ExecutorLog::say(LogLevel level, std::string_view text) {
  const std::lock_guard lock(mutex_);
  write(level, text);
}

void ExecutorLog::on(const progress::Event& event) {
  const std::lock_guard lock(mutex_);
  std::visit([&](const auto& each) { handle(each); }, event);
}

/// A step is told of when it is known to run, and not when it is found.
void ExecutorLog::announce(Step& step) {
  if (std::exchange(step.announced, true)) return;
  write(internal(step.name) ? LogLevel::kDebug : LogLevel::kInfo, instruction_of(step.name));
}

void ExecutorLog::handle(const progress::Started& event) {
  Step& step = steps_[event.id];
  step.name = event.name;
  const std::string_view text = instruction_of(event.name);
  if (!text.starts_with("FROM ")) return;
  step.announced = true;
  write(LogLevel::kInfo, fmt::format("Retrieving image manifest {}", text.substr(5)));
}

void ExecutorLog::handle(const progress::Reason& event) {
  const auto found = steps_.find(event.id);
  if (found == steps_.end() || event.hit) return;
  announce(found->second);
  write(LogLevel::kDebug, event.text);
}

void ExecutorLog::handle(const progress::Cached& event) {
  Step& step = steps_[event.id];
  if (std::exchange(step.announced, true)) return;
  const std::string_view text = instruction_of(step.name);
  if (!internal(step.name)) write(LogLevel::kInfo, fmt::format("Using caching version of cmd: {}", text));
}

void ExecutorLog::handle(const progress::Log& event) {
  Step& step = steps_[event.id];
  if (!step.name.starts_with('[')) {  // the exporter, not a step
    write(LogLevel::kDebug, trim(event.bytes));
    return;
  }
  announce(step);
  std::string& held = step.unfinished[event.stream == 1 ? 0 : 1];
  held += event.bytes;
  std::string lines;
  std::size_t at = 0;
  for (auto end = held.find('\n'); end != std::string::npos; end = held.find('\n', at)) {
    lines += shown_line(std::string_view(held).substr(at, end - at));
    at = end + 1;
  }
  held.erase(0, at);
  if (held.size() > kLongestLine) lines += shown_line(std::exchange(held, {}));
  print(event.stream, lines);
}

void ExecutorLog::print(int stream, const std::string& lines) {
  if (lines.empty()) return;
  stream == 1 ? setup_.output(lines) : setup_.log(lines);
}

void ExecutorLog::handle(const progress::Transfer& event) {
  if (event.total < 0 || event.done < event.total) return;
  const auto found = steps_.find(event.id);
  if (found == steps_.end() || std::exchange(found->second.moved[event.object], true)) return;
  write(LogLevel::kDebug, fmt::format("{} {}", event.object, transfer_amount(event)));
}

void ExecutorLog::handle(const progress::Finished& event) {
  const auto found = steps_.find(event.id);
  if (found == steps_.end()) return;
  announce(found->second);
  for (const int stream : {1, 2}) {
    const std::string& rest = found->second.unfinished[static_cast<std::size_t>(stream - 1)];
    if (!rest.empty()) print(stream, shown_line(rest));
  }
  steps_.erase(found);
}

void ExecutorLog::handle(const progress::Warning& event) { write(LogLevel::kWarn, event.text); }

}  // namespace slipway::cli
