// Pace: whether the bodies of one transfer move as fast as a living peer's do. Time and counts are handed in.
//
//   Pace pace({.silence_ms = 60'000, .slowest_bytes = 30 * 1024, .window_ms = 30'000}, now);
//   if (const auto why = pace.late(now, bytes_so_far, in_a_body)) … end the transfer
//
// In a body the rate over the last window counts; between bodies (the peer thinks about its answer) the silence does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include <fmt/core.h>

namespace slipway::http {

class Pace {
 public:
  struct Rules {
    int silence_ms;
    std::int64_t slowest_bytes;
    int window_ms;
  };
  Pace(Rules rules, std::int64_t now) : rules_(rules), last_move_(now) {}

  /// Something that happens once in a transfer: its start, the end of the answer's headers.
  void event(std::int64_t now) { last_move_ = now; }

  /// `total`: bytes of bodies so far, both ways; `in_body`: more of one is due now. Gives what is wrong, if anything.
  std::optional<std::string> late(std::int64_t now, std::int64_t total, bool in_body) {
    if (total > total_) last_move_ = now;
    total_ = total;
    if (now - last_move_ >= rules_.silence_ms) return fmt::format("no byte moved for {} s", rules_.silence_ms / 1000.0);
    if (!in_body) {
      samples_.clear();
      return std::nullopt;
    }
    if (samples_.empty() || now - samples_.back().at >= step()) samples_.push_back({now, total});
    // The oldest kept sample is at least a window old, as soon as there is one.
    while (samples_.size() > 1 && now - samples_[1].at >= rules_.window_ms) samples_.pop_front();
    const Sample& oldest = samples_.front();
    if (now - oldest.at < rules_.window_ms || total - oldest.total >= rules_.slowest_bytes) return std::nullopt;
    return fmt::format("only {} bytes moved in {} s", total - oldest.total, rules_.window_ms / 1000.0);
  }

  /// How long nothing needs to be judged, in milliseconds; at most a second.
  [[nodiscard]] int next_look_ms() const { return std::clamp(std::min(rules_.silence_ms, step()), 1, 1000); }

 private:
  struct Sample {
    std::int64_t at, total;
  };
  [[nodiscard]] int step() const { return std::max(1, rules_.window_ms / 30); }

  const Rules rules_;
  std::int64_t last_move_;
  std::int64_t total_ = 0;
  std::deque<Sample> samples_;
};

}  // namespace slipway::http
