// What a step writes, on its way to the progress reader: cut at --step-log-limit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/progress.hpp"

namespace slipway::build {

class StepOutput {
 public:
  static constexpr std::size_t kTail = 16 * 1024;  ///< kept of what is not shown, for when the step fails

  /// `limit` in bytes, both streams together; 0: none.
  StepOutput(progress::Sink& sink, progress::VertexId vertex, std::int64_t limit)
      : sink_(sink), vertex_(vertex), limit_(limit) {}

  /// From one thread. Past the limit one line says so and the rest is dropped.
  void write(int stream, std::string_view bytes);
  /// The step failed: why is most likely said at the end of what was dropped. Shows whole lines of that.
  void show_tail();

 private:
  void show(int stream, std::string_view bytes) { sink_.on(progress::Log{vertex_, stream, std::string(bytes)}); }

  progress::Sink& sink_;
  progress::VertexId vertex_;
  std::int64_t limit_, shown_ = 0;
  bool clipped_ = false;
  std::string tail_;
};

/// "2MiB", "1.5KiB", "100B": as BuildKit writes the limit.
[[nodiscard]] std::string binary_size(std::int64_t bytes);

}  // namespace slipway::build
