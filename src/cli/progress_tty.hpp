// TtyProgress: progress as `docker build` shows it on a terminal: a frame that one thread redraws at most ten times a
// second. TtyScreen holds what is known and makes frames of it: no clock, no terminal, no thread.
//
//   [+] Building 1.2s (2/3)
//    => CACHED [1/2] FROM docker.io/library/debian:12                          0.0s
//    => => sha256:1a2b 1.05MB / 2.81MB                                         0.4s
//    => [2/2] RUN make                                                         1.2s
//    => => # cc -c main.c
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/progress_reader.hpp"
#include "cli/step_log.hpp"

namespace slipway::cli {

class TtyScreen {
 public:
  TtyScreen(std::string phase, bool colours, std::int64_t now)
      : phase_(std::move(phase)), colours_(colours), start_(now) {}

  void on(const progress::Event& event, std::int64_t now);
  enum class Which : unsigned char {
    kLive,  ///< what fits the terminal's height
    kLast,  ///< everything, with FINISHED in the head line when all is done
  };
  /// Lines without line feeds, none wider than size.columns - 1.
  [[nodiscard]] std::vector<std::string> frame(TerminalSize size, std::int64_t now, Which which) const;
  /// Warnings, and the last lines of failed steps: what follows the last frame.
  [[nodiscard]] std::string epilogue() const;

 private:
  struct Moved {
    progress::Transfer last;
    std::int64_t started = 0;
    std::int64_t ended = -1;
  };
  struct Step {
    enum class End : unsigned char { kRunning, kCached, kDone, kFailed, kCancelled } end = End::kRunning;
    std::string name;
    std::int64_t started = 0;
    std::int64_t ended = 0;
    StepLog log{Colours::kStrip};
    std::vector<std::pair<std::string, Moved>> moved;  // in order of appearance
  };
  struct Block {
    bool running = false;
    std::vector<std::string> lines;
  };
  [[nodiscard]] Block block_of(const Step& step, std::size_t columns, std::int64_t now, bool with_log) const;
  [[nodiscard]] std::string line(std::string_view left, std::string_view right, std::size_t columns,
                                 std::string_view colour) const;

  std::string phase_;
  bool colours_;
  std::int64_t start_;
  std::vector<progress::VertexId> order_;
  std::map<progress::VertexId, Step> steps_;
  std::vector<std::string> warnings_;
};

class TtyProgress final : public ProgressReader {
 public:
  explicit TtyProgress(ProgressSetup setup);
  ~TtyProgress() override;
  void on(const progress::Event& event) override;
  void finish() override;

 private:
  void redraw_until_stopped();
  /// With the lock held.
  void draw(TtyScreen::Which which);

  ProgressSetup setup_;
  std::mutex mutex_;
  std::condition_variable wake_;
  TtyScreen screen_;
  std::size_t drawn_ = 0;  // lines on the terminal
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace slipway::cli
