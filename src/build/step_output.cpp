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

/// How many bytes at the end of `text` may be the beginning of a secret.
std::size_t SecretMask::begun(std::string_view text) const {
  std::size_t most = 0;
  for (const auto& word : words_) {
    for (std::size_t size = std::min(word.size() - 1, text.size()); size > most; --size)
      if (text.ends_with(std::string_view(word).substr(0, size))) most = size;
  }
  return most;
}

std::string SecretMask::pass(int stream, std::string_view bytes) {
  std::string text = std::exchange(held_.at(static_cast<std::size_t>(stream)), {});
  text.append(bytes);
  for (const auto& word : words_)
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += kMasked.size())
      text.replace(at, word.size(), kMasked);
  const std::size_t keep = begun(text);
  held_.at(static_cast<std::size_t>(stream)) = text.substr(text.size() - keep);
  text.resize(text.size() - keep);
  return text;
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
