// PlainProgress: progress as BuildKit's plain writes it, for CI logs.
//
//   #5 [2/5] RUN make            one step has the floor; others wait until it ends, was long enough on, or they end
//   #5 0.123 log line
//   #5 sha256:1a2b 1.05MB / 2.81MB 0.2s
//   #5 DONE 0.3s                 or CACHED, ERROR: …, CANCELED
//   #5 ...                       the floor goes to another step for now
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cli/progress_reader.hpp"
#include "cli/step_log.hpp"

namespace slipway::cli {

class PlainProgress final : public ProgressReader {
 public:
  explicit PlainProgress(ProgressSetup setup) : setup_(std::move(setup)) {}
  void on(const progress::Event& event) override;
  void finish() override;

 private:
  struct Moved {
    progress::Transfer last;
    std::int64_t started = 0;
    std::int64_t shown = -1;  // when a line was last written; -1: never
    bool done = false;
  };
  struct Step {
    std::string name;
    int number = 0;  // 0: not shown yet
    std::int64_t started = 0;
    StepLog log{Colours::kStrip};
    std::map<std::string, Moved> moved;
    std::vector<std::string> waiting;  // lines not yet written
    std::size_t waiting_bytes = 0;
    std::string error;
    std::string ending;  // "DONE 0.3s" once it ended
    bool ended = false;
  };

  void handle(const progress::Started& event);
  void handle(const progress::Cached& event);
  void handle(const progress::Finished& event);
  void handle(const progress::Log& event);
  void handle(const progress::Transfer& event);
  void handle(const progress::Warning& event);
  void handle(const progress::Reason&) {}  // `slipway why` shows them
  Step* running(progress::VertexId id);
  void queue(Step& step, std::string line);
  void note_transfer(Step& step, Moved& moved, bool done);
  void end(progress::VertexId id, Step& step, std::string ending);
  void show_when_due(progress::VertexId id, Step& step);
  void show(progress::VertexId id, Step& step);
  void give_floor_on();

  ProgressSetup setup_;
  std::mutex mutex_;
  std::map<progress::VertexId, Step> steps_;
  progress::VertexId floor_ = 0;
  bool taken_ = false;  // floor_ means something
  std::int64_t floor_since_ = 0;
  int last_number_ = 0;
  bool wrote_ = false;
};

}  // namespace slipway::cli
