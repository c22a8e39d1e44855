#include "build/step_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"

namespace slipway::build {

namespace {

constexpr std::size_t kLeastSecret = 4, kLeastLine = 8;
constexpr std::string_view kMasked = "***";

}  // namespace

SecretMask::SecretMask(const std::vector<std::string>& secrets) {
  for (const auto& secret : secrets) {
    const std::string_view whole = trim(secret);
    const auto lines = split(whole, '\n');
    for (auto line : lines) {
      line = trim(line);
      if (line.size() >= (lines.size() > 1 ? kLeastLine : kLeastSecret)) words_.emplace_back(line);
    }
  }
  std::ranges::sort(words_, [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

std::string SecretMask::pass(int stream, std::string_view bytes) {
  std::string& held = held_.at(static_cast<std::size_t>(stream));
  held.append(bytes);
  std::string out;
  std::string_view text = held;
  while (!text.empty()) {
    // The longest first: what may yet become a long secret is not shown as a short one and a rest.
    const auto word = std::ranges::find_if(words_, [&](const std::string& each) {
      return text.starts_with(each) || std::string_view(each).starts_with(text);
    });
    if (word != words_.end() && word->size() > text.size()) break;
    out += word != words_.end() ? kMasked : text.substr(0, 1);
    text.remove_prefix(word != words_.end() ? word->size() : 1);
  }
  held = std::string(text);
  return out;
}

std::string SecretMask::rest(int stream) { return std::exchange(held_.at(static_cast<std::size_t>(stream)), {}); }

void StepOutput::write(int stream, std::string_view bytes) {
  if (mask_.idle()) return take(stream, bytes);
  take(stream, mask_.pass(stream, bytes));
}

void StepOutput::end() {
  for (const int stream : {1, 2})
    if (const std::string rest = mask_.rest(stream); !rest.empty()) take(stream, rest);
}

void StepOutput::take(int stream, std::string_view bytes) {
  if (bytes.empty()) return;
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
  show(2, "[the end of what was clipped]\n");
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
