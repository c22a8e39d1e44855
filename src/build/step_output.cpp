#include "build/step_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace slipway::build {

void StepOutput::write(int stream, std::string_view bytes) {
  if (limit_ <= 0) return show(stream, bytes);
  const auto fits = std::min(bytes.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, limit_ - shown_)));
  shown_ += static_cast<std::int64_t>(fits);
  if (fits > 0 && !clipped_) show(stream, bytes.substr(0, fits));
  if (fits == bytes.size()) return;
  if (!std::exchange(clipped_, true))
    show(stream, fmt::format("\n[output clipped, log limit {} reached]\n", binary_size(limit_)));
  tail_.append(bytes.substr(fits));
  if (tail_.size() > 2 * kTail) tail_.erase(0, tail_.size() - kTail);
}

void StepOutput::show_tail() {
  if (tail_.empty()) return;
  std::string_view rest = tail_;
  if (rest.size() > kTail) rest.remove_prefix(rest.size() - kTail);
  if (const auto line = rest.find('\n'); line != std::string_view::npos && line + 1 < rest.size())
    rest.remove_prefix(line + 1);
  show(2, rest);
  tail_.clear();
}

std::string binary_size(std::int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return fmt::format("{:.4g}{}", value, kUnits[unit]);
}

}  // namespace slipway::build
