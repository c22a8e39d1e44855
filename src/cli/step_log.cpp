#include "cli/step_log.hpp"

#include <fmt/core.h>

#include <utility>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kTailLines = 10;
constexpr std::size_t kLineLimit = 16 * 1024;

}  // namespace

std::string StepLog::finish_line(std::string_view raw, std::int64_t milliseconds) {
  while (raw.ends_with('\r')) raw.remove_suffix(1);
  if (const auto rewritten = raw.rfind('\r'); rewritten != std::string_view::npos) raw.remove_prefix(rewritten + 1);
  std::string line =
      fmt::format("{}.{:03} {}", milliseconds / 1000, milliseconds % 1000, printable_text(raw, colours_));
  tail_.push_back(line);
  if (tail_.size() > kTailLines) tail_.pop_front();
  return line;
}

std::vector<std::string> StepLog::add(int stream, std::string_view bytes, std::int64_t milliseconds) {
  std::string& unfinished = unfinished_[stream == 2 ? 1 : 0];
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto part = bytes.substr(0, end);
    if (unfinished.size() + part.size() > kLineLimit) {
      const std::size_t room = kLineLimit - unfinished.size();
      unfinished += part.substr(0, room);
      bytes.remove_prefix(room);
      lines.push_back(finish_line(std::exchange(unfinished, {}), milliseconds));
      continue;
    }
    unfinished += part;
    if (end == std::string_view::npos) break;
    bytes.remove_prefix(end + 1);
    lines.push_back(finish_line(std::exchange(unfinished, {}), milliseconds));
  }
  return lines;
}

std::vector<std::string> StepLog::flush(std::int64_t milliseconds) {
  std::vector<std::string> lines;
  for (auto& unfinished : unfinished_)
    if (!unfinished.empty()) lines.push_back(finish_line(std::exchange(unfinished, {}), milliseconds));
  return lines;
}

std::string failure_block(std::string_view name, const std::deque<std::string>& tail) {
  if (tail.empty()) return {};
  std::string out = fmt::format("------\n > {}:\n", name);
  for (const auto& line : tail) out += line + "\n";
  return out + "------\n";
}

bool is_cancellation(std::string_view error) {
  return error == "interrupted" || error.ends_with("canceled") || error.ends_with("cancelled");
}

std::string transfer_size(std::int64_t bytes) {
  constexpr std::string_view kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return fmt::format("{}B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000.0 && unit + 1 < std::size(kUnits)) {
    value /= 1000.0;
    ++unit;
  }
  return fmt::format("{:.2f}{}", value, kUnits[unit]);
}

std::string transfer_amount(const progress::Transfer& transfer) {
  if (transfer.total >= 0) return fmt::format("{} / {}", transfer_size(transfer.done), transfer_size(transfer.total));
  return transfer.done > 0 ? transfer_size(transfer.done) : "";
}

}  // namespace slipway::cli
