// What a step writes, on its way to the progress reader: secrets masked, cut at --step-log-limit.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.hpp"

namespace slipway::build {

/// Puts "***" in the place of secrets, also where one comes in pieces (docs/isolation.md). Of a secret of several lines
/// each long one is looked for; what is shorter than 4 bytes is in every other word and not masked.
class SecretMask {
 public:
  explicit SecretMask(const std::vector<std::string>& secrets);
  /// What may be shown of stream `stream` (1 or 2) by now: what may be the beginning of a secret is held back.
  [[nodiscard]] std::string pass(int stream, std::string_view bytes);
  /// What was held back and is no secret.
  [[nodiscard]] std::string rest(int stream);
  [[nodiscard]] bool idle() const { return words_.empty(); }

 private:
  std::vector<std::string> words_;  ///< longest first
  std::array<std::string, 3> held_;
};

class StepOutput {
 public:
  static constexpr std::size_t kTail = 16 * 1024;  ///< kept of what is not shown, for when the step fails

  /// `limit` in bytes, both streams together; 0: none.
  StepOutput(progress::Sink& sink, progress::VertexId vertex, std::int64_t limit,
             const std::vector<std::string>& secrets = {})
      : sink_(sink), vertex_(vertex), limit_(limit), mask_(secrets) {}

  /// From one thread. Past the limit one line says so and the rest is dropped.
  void write(int stream, std::string_view bytes);
  /// The step ended: nothing is held back any more.
  void end();
  /// The step failed: why is most likely said at the end of what was dropped. Shows whole lines of that.
  void show_tail();

 private:
  void take(int stream, std::string_view bytes);
  void show(int stream, std::string_view bytes) { sink_.on(progress::Log{vertex_, stream, std::string(bytes)}); }

  progress::Sink& sink_;
  progress::VertexId vertex_;
  std::int64_t limit_, shown_ = 0;
  bool clipped_ = false;
  std::string tail_;
  SecretMask mask_;
};

/// "2MiB", "1.5KiB", "100B": as BuildKit writes the limit.
[[nodiscard]] std::string binary_size(std::int64_t bytes);

}  // namespace slipway::build
